"""The catalogue as HTML: one page a port, the indexes, and what crawlers and programs read.

    page.py      profiles of a port -> one page, of the site or on its own (`reconshield port N --html`)
    indexes.py   ports, services, clusters, ratings, techniques, sources, search
    crawl.py     sitemap and the feed of changes
    links.py     where the other pages are, seen from this one

All of it is text from the catalogue's records; `jobs/site.py` writes the files. The style is that of the report
(`report/html/reconshield.css`) and, for what only these pages have, `site.css`.
"""

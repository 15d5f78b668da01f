"""The web app and the API: `reconshield serve`.

    app.py      the application: routes, headers, errors
    call.py     one request: who asks, in which workspace, at what time
    door.py     who may enter: sessions, tokens, roles, forgery
    frame.py    templates, and what stands around every page
    pages/      one file a noun, HTML for people
    api/        one file a noun, JSON for programs

A page asks a job for records and hands them to a template; nothing here knows SQL, and nothing decides what a scan may measure.
"""

"""The root of the command line: global flags, the verbs, and the one place where exceptions become exit codes.

0 done · 1 the answer is bad · 2 the user's mistake · 3 refused for want of a grant · 4 partial result · 70 internal error ·
130 interrupted. A closed pipe ends quietly. The verbs import what they need when they run, so the quick ones stay quick.
"""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import re
import shlex
import sys
from typing import Annotated

import typer

from reconshield import __version__
from reconshield.cli.console import Invocation, print_error, wants_ascii, wants_colour
from reconshield.cli.verbs import VERBS, load_verb
from reconshield.errors import UserError, describe_bug
from reconshield.knowledge import tables
from reconshield.settings import load_settings

# typer keeps its copy of click private; the class of every usage mistake is the base of the one it does export.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
GLOBAL_SWITCHES = frozenset({"--quiet", "-q", "--no-color"})
GLOBAL_VALUES = frozenset({"--db", "--home", "--workspace"})


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"reconshield {__version__}\n")
        raise typer.Exit


def root(
    ctx: typer.Context,
    db: Annotated[str | None, typer.Option(metavar="URL", help="Database: a file or a postgresql:// URL.")] = None,
    home: Annotated[str | None, typer.Option(metavar="DIR", help="Where data and config.toml lie.")] = None,
    workspace: Annotated[str | None, typer.Option(metavar="NAME", help="Workspace that grants and runs belong to.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no next steps.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colour, even on a terminal.")] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Resolve settings and printing once, for every verb."""
    del version
    settings = load_settings({"db": db, "home": home, "workspace": workspace}, os.environ)
    tables.choose(settings.home / "feeds")
    ctx.obj = Invocation(
        settings=settings,
        quiet=quiet,
        color=not no_color and wants_colour(sys.stdout, os.environ),
        ascii=wants_ascii(sys.stdout, os.environ),
    )
    write_utf8()


def make_app(verb: str | None = None) -> typer.Typer:
    """The command line with one verb, or with all of them when none is named: what nobody calls need not be loaded."""
    app = typer.Typer(
        name="reconshield",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="What do you expose, how bad is it, how do you close it, and is it really closed? Measure only what you may.",
    )
    app.callback()(root)
    for name in VERBS if verb is None else (verb,):
        found = load_verb(name)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def called_verb(words: list[str]) -> str | None:
    """The verb of a command line whose global flags stand first; None where there is none, or it is no verb."""
    waiting = iter(words)
    for word in waiting:
        if word in GLOBAL_VALUES:
            next(waiting, None)
        elif not word.startswith("-"):
            return word if word in VERBS else None
        elif word not in GLOBAL_SWITCHES and word.partition("=")[0] not in GLOBAL_VALUES:
            return None
    return None


def main() -> None:
    """Run the command line and exit with its code."""
    # NumPy's linear algebra, of which nothing here has any use, would start a thread for each core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Loading makes some hundred thousand objects that stay; looking through them once costs as much as loading NumPy.
    gc.set_threshold(300_000, 20, 20)
    # At the end they go with the process; looking through them for cycles first would take as long as a look-up.
    atexit.register(gc.freeze)
    prepare_streams()
    try:
        words = hoist_globals(sys.argv[1:])
        # A shell that asks for completions gives no words of its own; it needs to know every verb.
        code = make_app(called_verb(words))(words, standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as ended:
        # typer meets a closed pipe itself: it swaps standard output for a wrapper and ends with 1. That is no bad answer.
        code = 0 if type(sys.stdout).__name__ == "PacifyFlushWrapper" else ended.code
    except UserError as error:
        print_error(error)
        code = error.exit_code
    except UsageError as error:
        _explain_usage(error)
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("\ninterrupted\n")
        code = 130
    except BrokenPipeError:
        mute_output()
        code = 0
    except OSError as error:
        code = _report_full(error) if error.errno in NO_SPACE else _report_bug(error)
    except Exception as error:  # noqa: BLE001 - the last resort: a bug is named and can be reported, its data is not printed
        code = _report_bug(error)
    sys.exit(code if isinstance(code, int) else 0)


def prepare_streams() -> None:
    """Streams for a program that was started with closed ones (`>&-`)."""
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")


def write_utf8() -> None:
    """Files and pipes get UTF-8 whatever the locale is, for JSON and HTML are data; no sign that a terminal lacks ends us."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding=None if sys.stdout.isatty() else "utf-8", errors="backslashreplace")


def mute_output() -> None:
    """Standard output cannot take more; point it elsewhere so that the interpreter's last flush does not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def hoist_globals(words: list[str]) -> list[str]:
    """The command line with its global flags first, so that they may stand after the verb too; what follows `--` stays."""
    first: list[str] = []
    rest: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if word == "--":
            return [*first, *rest, word, *waiting]
        name, equals, _ = word.partition("=")
        if word in GLOBAL_SWITCHES or (name in GLOBAL_VALUES and equals):
            first.append(word)
        elif word in GLOBAL_VALUES:
            first += [word, *([value] if (value := next(waiting, None)) is not None else [])]
        else:
            rest.append(word)
    return [*first, *rest]


def _explain_usage(error: Exception) -> None:
    """Say what is wrong with the command; one that ends before its verb gets the list of them."""
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{error}\n")
    else:
        print_error(_usage_mistake(error))


def _usage_mistake(error: Exception) -> UserError:
    message = getattr(error, "format_message", lambda: str(error))().rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "reconshield"
    return UserError(
        message[:1].lower() + message[1:].replace("\n", " "),
        where=" ".join(sys.argv[1:]),
        hint=_corrected(message) or f"{command} --help",
    )


def _corrected(message: str) -> str | None:
    """The same command with the word that was mistyped replaced by the nearest that there is."""
    mistyped = re.search(r"[Nn]o such (?:command|option):? '?([^\s'.]+)", message)
    near = re.search(r"Did you mean '?(-{0,2}[\w-]+)", message) or re.search(r"\(Possible options: ([^\s,)]+)", message)
    words = sys.argv[1:]
    if not mistyped or not near or mistyped[1] not in words:
        return None
    words[words.index(mistyped[1])] = near[1]
    return shlex.join(["reconshield", *words])


def _report_full(error: OSError) -> int:
    mute_output()
    where = str(error.filename or "standard output")
    hint = "make room, or write somewhere else with -o; what was measured is saved"
    print_error(UserError("the output cannot be written: no space left", where=where, hint=hint))
    return 2


def _report_bug(error: Exception) -> int:
    """Name the bug, so that it can be reported."""
    if os.environ.get("RECONSHIELD_TRACEBACK"):
        raise error
    line, about = describe_bug(error)
    sys.stderr.write(
        f"{line}\n  where  {about}\n"
        "  next   report these two lines and the command (RECONSHIELD_TRACEBACK=1 shows more); what was saved is kept\n"
    )
    return 70

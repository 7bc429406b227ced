"""`emberwatch settings`: every variable, what it is for, and what it is set to."""

import ast
import inspect

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streams.settings import Settings, variable_of


def run(settings: Settings) -> int:
    """Print the table of settings; secrets show as ***, what differs from the default is marked."""
    table = Table("variable", "set to", "what it is for", expand=True)
    words = meanings()
    for field in msgspec.structs.fields(Settings):
        value = getattr(settings, field.name)
        shown = "" if value is None else escape(str(value))
        table.add_row(variable_of(field.name), f"[b]{shown}[/]" if value != field.default else shown, words[field.name])
    table.caption = (
        "Bold: not the default. In a file (EMBERWATCH_SETTINGS) the names are in lower case, without the prefix."
    )
    Console().print(table)
    return 0


def meanings() -> dict[str, str]:
    """Text below each field of `Settings`, where the source keeps it."""
    body = ast.parse(inspect.getsource(Settings)).body[0]
    assert isinstance(body, ast.ClassDef)
    words: dict[str, str] = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            words[field.target.id] = str(ast.literal_eval(text.value))
    return words

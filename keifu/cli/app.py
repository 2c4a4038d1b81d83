"""The application that the commands join."""

import typer

app = typer.Typer(
    name="keifu",
    help="keifu 系譜: the family of sequence models. Train one on your own data, look inside, use it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

"""Commands that explain: every network, every setting."""

from __future__ import annotations

from typing import Annotated

import typer

from pixelethogram.commands.options import JsonOption
from pixelethogram.commands.session import print_json
from pixelethogram.errors import UsageError


def models(json: JsonOption = False) -> None:
    """List every network: size, work per frame of 256 x 256 pixels, frames it sees, paper."""
    from pixelethogram.catalogue import COLUMNS, list_networks
    from pixelethogram.terminal import build_console, build_table

    networks = list_networks()
    for stage in dict.fromkeys(network.stage for network in networks):
        rows = [network.to_row() for network in networks if network.stage == stage]
        build_console(json=json).print(build_table(stage, COLUMNS, rows))
    print_json({"networks": [vars(network) for network in networks]}, json)


def settings(
    section: Annotated[str, typer.Argument(help="e.g. frames or features.train")] = "",
) -> None:
    """Explain every setting: key, type, default, meaning."""
    from pixelethogram.config_layers import setting_rows

    rows = setting_rows(section)
    if not rows:
        raise UsageError(f'no setting starts with "{section}"', do="pixelethogram settings")
    for key, kind, default, meaning in rows:
        typer.echo(f"{key} = {default}   ({kind})\n    {meaning}")

"""Creates and updates a Secret volume like the kubelet."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


class MountedSecret:
    """``path/KEY`` links to ``..data/KEY``, and ``..data`` to a folder for each update."""

    def __init__(self, path: Path, values: Mapping[str, bytes]) -> None:
        self.path = path
        self._count = 0
        self.exchange(values)

    def exchange(self, values: Mapping[str, bytes], *, keep_old: bool = False) -> None:
        self._count += 1
        folder = self.path / f"..2026_01_01_00_00_{self._count:02}.000000000"
        folder.mkdir()
        for key, value in values.items():
            (folder / key).write_bytes(value)
        link = self.path / "..data"
        old = self.path / os.readlink(link) if link.is_symlink() else None
        new_link = self.path / "..data_tmp"
        new_link.symlink_to(folder.name)
        new_link.rename(link)
        for key in values:
            if not (self.path / key).is_symlink():
                (self.path / key).symlink_to(Path("..data") / key)
        if old is not None and not keep_old:
            shutil.rmtree(old)

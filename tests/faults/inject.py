"""The driver's side of inject.h: the mapped file that counts each fallible call of a broker's, by the
place that makes it, and says which one fails."""
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

MAGIC = 0x544C4146
SITES_MAX = 4096
SHORT = 0
ROLES = ["broker", "forked", "child", "candidate"]

HEADER = struct.Struct("<Ii IIII II i II ii I 8x")
SITE = struct.Struct("<IIIII28s")
AT_ARMED = 8


@dataclass(frozen=True)
class Place:
    """One place of a call in the source: where it returns to. `number` is that of a syscall(2)."""
    role: int
    address: int
    number: int
    name: str


class FaultMap:
    """One file for one broker, all processes and images of it."""

    def __init__(self, path):
        self.path = Path(path)
        size = HEADER.size + SITES_MAX * SITE.size
        with open(self.path, "wb+") as file:
            file.truncate(size)
            self.map = mmap.mmap(file.fileno(), size)
        self.map[:4] = struct.pack("<I", MAGIC)

    def close(self):
        self.map.close()

    def arm(self, place, first, error, length=1):
        """The calls number first, first + 1, … at the place, counted from now, fail."""
        struct.pack_into("<IIIIIi II", self.map, AT_ARMED + 4, place.role, place.address,
                         place.number, first, length, error, 0, 0)
        struct.pack_into("<I", self.map, AT_ARMED, 1)

    def disarm(self):
        struct.pack_into("<I", self.map, AT_ARMED, 0)

    def _header(self):
        return HEADER.unpack_from(self.map)

    @property
    def fired(self):
        return self._header()[10]

    @property
    def crash(self):
        """(pid, signal) of a process that a broker or worker collected and that had crashed; or None."""
        signal, process = self._header()[11:13]
        return (process, signal) if signal else None

    def counts(self):
        """How often each place was reached."""
        assert self._header()[13] == 0, "more places than SITES_MAX"
        counts = {}
        for index in range(SITES_MAX):
            state, role, address, number, count, name = SITE.unpack_from(
                self.map, HEADER.size + index * SITE.size)
            if state == 2:
                counts[Place(role, address, number, name.split(b"\0")[0].decode())] = count
        return counts

"""What `make macos` built, inspected: no Mac has run it. Run by that target, in the environment of its compiler."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator
from email.parser import BytesParser
from pathlib import Path, PurePosixPath

import lief
import pytest
from wheel.wheelfile import WheelFile

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "macos"
DYLIB = BUILD / "libanesdk.dylib"
IN_WHEEL = "anejax/lib/libanesdk.dylib"
MACHO = lief.MachO


@pytest.fixture(scope="module")
def library() -> Iterator[lief.MachO.Binary]:
    file = MACHO.parse(DYLIB)
    assert file.size == 1  # one architecture
    yield file.at(0)  # the file owns it, and must live as long


@pytest.fixture(scope="module")
def wheel() -> WheelFile:
    (path,) = BUILD.glob("*.whl")
    return WheelFile(path)


def test_architecture(library: lief.MachO.Binary) -> None:
    header = library.header
    assert (header.cpu_type, header.file_type) == (MACHO.Header.CPU_TYPE.ARM64, MACHO.Header.FILE_TYPE.DYLIB)
    assert {MACHO.Header.FLAGS.TWOLEVEL, MACHO.Header.FLAGS.NOUNDEFS} <= set(header.flags_list)


def test_system(library: lief.MachO.Binary) -> None:
    version = library.build_version
    assert version.platform == MACHO.BuildVersion.PLATFORMS.MACOS
    assert version.minos == [14, 0, 0]


def test_links_nothing_but_the_system(library: lief.MachO.Binary) -> None:
    """Accelerate and Espresso are opened at run time; libc++ is linked in."""
    kinds = MACHO.LoadCommand.TYPE
    own = [c.name for c in library.libraries if c.command == kinds.ID_DYLIB]
    assert own == ["@rpath/libanesdk.dylib"]
    assert [c.name for c in library.libraries if c.command != kinds.ID_DYLIB] == ["/usr/lib/libSystem.B.dylib"]
    assert not library.has_rpath


N_TYPE = 0x0E  # Apple's nlist.h: these bits are 0 for symbols that are not defined here
LINKERS = {"___dso_handle", "__mh_dylib_header"}  # names of the library itself, which zig's linker exports


def test_exports_are_those_of_the_header(library: lief.MachO.Binary) -> None:
    header = (ROOT / "native" / "include" / "anesdk.h").read_text()
    functions = re.findall(r"^ANESDK_API\s[^;(]*?(anesdk_\w+)\(", header, re.M)
    assert len(functions) == len(re.findall(r"^ANESDK_API\s", header, re.M)) > 0
    exported = [s.name for s in library.exported_symbols]
    assert sorted(set(exported) - LINKERS) == sorted("_" + name for name in functions)


def test_imports_are_of_the_system(library: lief.MachO.Binary) -> None:
    """Every import names the library that it is found in, libSystem, and none is C++, of which that has one function.

    What binds weakly is in the library: another image that has the same symbol could take its place.
    """
    weak = {b.symbol.name for b in library.bindings if not b.has_library}
    bound = {b.symbol.name: b.library.name for b in library.bindings if b.has_library}
    assert {"_dlopen", "_flock", "_lgamma_r", "_pthread_create"} <= set(bound)
    assert set(bound.values()) == {"/usr/lib/libSystem.B.dylib"}
    assert [name for name in bound if name.startswith(("__Z", "___cxa", "___gxx"))] == ["___cxa_atexit"]
    defined = {s.name for s in library.symbols if s.raw_type & N_TYPE}
    assert weak <= defined and all(name.startswith("__Z") for name in weak)


def test_signature(library: lief.MachO.Binary) -> None:
    """Apple silicon ends a process that reads a page of which the hash in the code directory is another.

    The layout is that of Apple's cs_blobs.h; LIEF gives the blob as bytes.
    """
    blob = bytes(library.code_signature.content)
    magic, _, count = struct.unpack_from(">3I", blob)
    assert magic == 0xFADE0CC0  # CSMAGIC_EMBEDDED_SIGNATURE
    slots = dict(struct.unpack_from(">2I", blob, 12 + 8 * i) for i in range(count))
    directory = blob[slots[0] :]  # CSSLOT_CODEDIRECTORY
    magic, _, _, flags, hashes, _, _, pages, limit = struct.unpack_from(">9I", directory)
    size, kind, _, page_bits = struct.unpack_from("4B", directory, 36)
    assert (magic, kind, size) == (0xFADE0C02, 2, 32)  # CSMAGIC_CODEDIRECTORY, SHA-256
    assert flags & 0x2  # CS_ADHOC
    code = DYLIB.read_bytes()[:limit]
    assert limit == library.code_signature.data_offset  # all that comes before it is signed
    page = 1 << page_bits
    found = [directory[hashes + size * i :][:size] for i in range(pages)]
    assert found == [hashlib.sha256(code[at : at + page]).digest() for at in range(0, limit, page)]


def test_tags(wheel: WheelFile) -> None:
    path = Path(wheel.filename)
    assert re.fullmatch(r"anejax-[\d.]+-py3-none-macosx_14_0_arm64\.whl", path.name)
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/WHEEL"))
    fields = BytesParser().parsebytes(wheel.read(name))
    assert fields.get_all("Tag") == ["py3-none-macosx_14_0_arm64"]
    assert fields["Root-Is-Purelib"] == "false"


def test_record(wheel: WheelFile) -> None:
    """RECORD names every file but itself with its digest, which reading a file compares."""
    names = set(wheel.namelist())
    (record,) = (n for n in names if n.endswith(".dist-info/RECORD"))
    lines = [line.rsplit(",", 2) for line in wheel.read(record).decode().splitlines()]
    assert {name for name, _, _ in lines} == names
    assert {name for name, digest, _ in lines if not digest} == {record}
    for name, _, size in lines:
        if name != record:
            assert len(wheel.read(name)) == int(size)


def test_files(wheel: WheelFile) -> None:
    names = [PurePosixPath(n) for n in wheel.namelist() if ".dist-info/" not in n]
    assert [str(n) for n in names if n.suffix in {".so", ".dylib", ".a"}] == [IN_WHEEL]
    assert wheel.read(IN_WHEEL) == DYLIB.read_bytes()
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "anejax").rglob("*.py")}
    assert {str(n) for n in names if n.suffix == ".py"} == modules

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
One Debian package: deb.py [SUITE] [ARCH], by default for this machine's own. It is built against the suite's own
libraries (cross.py) and left in build/deb/SUITE, with another of the debug symbols beside it. $METERSTICK_MAINTAINER
is who is named as its maintainer, as "Name <address>".
"""

import gzip
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import cross  # noqa: E402

PLACE = cross.SOURCE / "build" / "deb"
REVISION = 1
MAINTAINER = "Meterstick authors <meterstick@example.org>"  # nobody's address, by RFC 2606

CHANGES = """meterstick ({version}) {suite}; urgency=medium

  * Package of Meterstick {upstream} for Debian {release} ({suite}).
    What changed is in changelog.gz.

 -- {maintainer}  {date}
"""


def upstream_version():
    text = (cross.SOURCE / "CMakeLists.txt").read_text(encoding="utf-8")
    return re.search(r"project\(meterstick VERSION ([\d.]+)", text)[1]


def version(suite):
    return f"{upstream_version()}-{REVISION}~deb{cross.RELEASES[suite]}"


def path(suite, arch):
    """The package, made or not."""
    return PLACE / suite / f"meterstick_{version(suite)}_{arch}.deb"


def changed_s():
    """When what is packed was changed last: the commit's time, or now where there is no git."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    result = subprocess.run(["git", "-C", str(cross.SOURCE), "log", "-1", "--format=%ct"], capture_output=True,
                            text=True, check=False)
    return int(result.stdout) if result.returncode == 0 and result.stdout.strip() else int(time.time())


def compress(source, target):
    """As gzip -9n does."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(source if isinstance(source, bytes) else source.read_bytes(), 9, mtime=0))
    target.chmod(0o644)


def run(command, log, **more):
    log.flush()
    command = [str(word) for word in command]
    if subprocess.run(command, stdout=log, stderr=log, check=False, **more).returncode != 0:
        raise cross.Failed(f"{command[0]} failed, see {log.name}")


def copy(source, target, mode=0o644):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def stage(place, suite, maintainer, log):
    """The tree as it will be installed, with what Debian wants beside what "cmake --install" gives."""
    root = place / "stage"
    shutil.rmtree(root, ignore_errors=True)
    os.umask(0o022)
    run(["cmake", "--install", place / "build", "--prefix", "/usr"], log, env=dict(os.environ, DESTDIR=str(root)))
    documents = root / "usr/share/doc/meterstick"
    (documents / "LICENSE").unlink()  # it is in copyright
    compress(documents / "CHANGELOG.md", documents / "changelog.gz")
    (documents / "CHANGELOG.md").unlink()
    for page in sorted((root / "usr/share/man").glob("man*/*.[1-8]")):
        compress(page, page.with_name(page.name + ".gz"))
        page.unlink()
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(changed_s()))
    changes = CHANGES.format(version=version(suite), suite=suite, upstream=upstream_version(), maintainer=maintainer,
                             release=cross.RELEASES[suite], date=date)
    compress(changes.encode(), documents / "changelog.Debian.gz")
    copy(HERE / "copyright", documents / "copyright")
    copy(HERE / "README.Debian", documents / "README.Debian")
    copy(HERE / "meterstick.conf", root / "etc/meterstick/meterstick.conf")
    return root


def programs(root):
    return [root / "usr/bin/meterstick", *sorted((root / "usr/libexec/meterstick").iterdir())]


def libraries(place, stage_root, sysroot, arch, log):
    """The packages of the libraries that the programs name, with the least versions, as dpkg-shlibdeps says it."""
    work = place / "shlibdeps"
    (work / "debian").mkdir(parents=True, exist_ok=True)
    (work / "debian/control").write_text("Source: meterstick\n\nPackage: meterstick\nArchitecture: any\n",
                                         encoding="utf-8")
    packages = [f"-S{package}" for package in sorted((sysroot / "packages").iterdir())]
    result = subprocess.run(["dpkg-shlibdeps", "-O", *packages, *(f"-e{program}" for program in programs(stage_root))],
                            cwd=work, stdout=subprocess.PIPE, stderr=log, text=True, check=False,
                            env=dict(os.environ, DEB_HOST_ARCH=arch, LC_ALL="C"))
    if result.returncode != 0:
        raise cross.Failed(f"dpkg-shlibdeps failed, see {log.name}")
    return re.fullmatch(r"shlibs:Depends=(.+)\n", result.stdout)[1]


def pack(place, suite, arch, stage_root, sysroot, maintainer, log):
    """CPack's part. Returns the directory in which it left its files."""
    out, control = place / "out", place / "control"
    shutil.rmtree(out, ignore_errors=True)
    for name in ("conffiles", "postinst", "prerm", "postrm"):
        copy(HERE / name, control / name, 0o644 if name == "conffiles" else 0o755)
    triplet = cross.triplet(arch)
    settings = {
        "STAGE": stage_root, "CONTROL": control, "LIBRARIES": libraries(place, stage_root, sysroot, arch, log),
        "CPACK_PACKAGE_DIRECTORY": out, "CPACK_PACKAGE_VERSION": upstream_version(),
        "CPACK_DEBIAN_PACKAGE_VERSION": upstream_version(),
        "CPACK_DEBIAN_PACKAGE_RELEASE": f"{REVISION}~deb{cross.RELEASES[suite]}",
        "CPACK_DEBIAN_PACKAGE_ARCHITECTURE": arch, "CPACK_DEBIAN_PACKAGE_MAINTAINER": maintainer,
        "CPACK_OBJCOPY_EXECUTABLE": f"{triplet}-objcopy", "CPACK_READELF_EXECUTABLE": f"{triplet}-readelf",
    }
    config = place / "CPackConfig.cmake"
    config.write_text("".join(f'set({key} "{value}")\n' for key, value in settings.items())
                      + f'include("{HERE}/CPackConfig.cmake")\n', encoding="utf-8")
    run(["cpack", "--config", config], log, cwd=place, env=dict(os.environ, SOURCE_DATE_EPOCH=str(changed_s())))
    return out


def finish_symbols(made, place, log):
    """CPack's package of the debug symbols has wrong names in md5sums, and nothing in /usr/share/doc."""
    root = place / "symbols"
    shutil.rmtree(root, ignore_errors=True)
    run(["dpkg-deb", "-R", made, root], log)
    (root / "usr/share/doc").mkdir(parents=True)
    (root / "usr/share/doc/meterstick-dbgsym").symlink_to("meterstick")
    lines = []
    for file in sorted(root.glob("usr/lib/debug/**/*.debug")):
        file.chmod(0o644)
        lines.append(f"{hashlib.md5(file.read_bytes()).hexdigest()}  {file.relative_to(root)}\n")
    (root / "DEBIAN/md5sums").write_text("".join(lines), encoding="utf-8")
    run(["dpkg-deb", "--root-owner-group", "--build", root, made], log)


def build(place, root, targets, log, tests="OFF"):
    """What is packed; or tests that are linked with the same."""
    flags = f"-g -ffile-prefix-map={cross.SOURCE}=."
    cross.build(place / "build", root, targets, log, [f"-DCMAKE_C_FLAGS={flags}", f"-DMETERSTICK_TESTS={tests}",
                                                      "-DCMAKE_EXE_LINKER_FLAGS=-Wl,-z,relro,-z,now"])


def make(suite, arch):
    """Returns the path of the package."""
    place = PLACE / suite / arch
    place.mkdir(parents=True, exist_ok=True)
    maintainer = os.environ.get("METERSTICK_MAINTAINER", MAINTAINER)
    with open(place / "log", "w", encoding="utf-8") as log, cross.Lock(place / "lock"):
        root = cross.sysroot(suite, arch, log)
        build(place, root, [], log)
        out = pack(place, suite, arch, stage(place, suite, maintainer, log), root, maintainer, log)
        finish_symbols(next(out.glob("*.ddeb")), place, log)
        for made in out.glob("*.*deb"):
            made.rename(PLACE / suite / made.with_suffix(".deb").name)
    return path(suite, arch)


def main(arguments):
    try:
        suite, arch, *rest = [*arguments, *(cross.codename(), cross.architecture())[len(arguments):]]
        if rest or suite not in cross.RELEASES or arch not in cross.ARCHITECTURES:
            raise cross.Failed(f"deb takes a suite ({', '.join(cross.RELEASES)}) and "
                               f"an architecture ({', '.join(cross.ARCHITECTURES)})")
        print(make(suite, arch).relative_to(cross.SOURCE))
    except (cross.Missing, cross.Failed) as failure:
        print(f"deb: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

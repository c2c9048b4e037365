"""Writes, as JSON, what a project's own file or lock file says of its dependencies. Nothing of the project is run.

Arguments: the file, one of pyproject.toml, pylock.toml, uv.lock, poetry.lock, in the working directory; the answer's file.
Answer: {"requirements": ["name==1.0 --hash=sha256:..."]} or {"problem": "what is wrong and what to do"}.
Markers are judged for the Python that runs this, which is the one that functions run on.
"""

import json
import re
import sys

try:
    import tomllib
except ModuleNotFoundError:  # before Python 3.11
    from pip._vendor import tomli as tomllib
from pip._vendor.packaging.markers import InvalidMarker, Marker
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement

MAXIMUM_BYTES = 32 * 1024 * 1024


class Problem(Exception):
    pass


def normal(name):
    return re.sub(r"[-_.]+", "-", str(name)).lower()


def read(name):
    with open(name, "rb") as file:
        data = file.read(MAXIMUM_BYTES + 1)
    if len(data) > MAXIMUM_BYTES:
        raise Problem(f"{name} is larger than {MAXIMUM_BYTES} bytes")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Problem(f"{name} is not TOML: {error}")


def project():
    try:
        return read("pyproject.toml")
    except FileNotFoundError:
        raise Problem("there is no pyproject.toml beside it: deploy both")


def holds(marker):
    if not marker:
        return True
    try:
        return Marker(marker).evaluate({"extra": ""})
    except InvalidMarker as error:
        raise Problem(f"the marker {marker!r} is not understood ({str(error).splitlines()[0]})")


def pinned(name, version, hashes, file):
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", name) or not re.fullmatch(r"[A-Za-z0-9.!+_-]+", str(version)):
        raise Problem(f"{file} has a package {name!r} of version {version!r}")
    known = sorted({each for each in hashes if re.fullmatch(r"sha(?:256|384|512):[0-9a-f]+", str(each))})
    if not known:
        raise Problem(f"{file} gives no hash for {name}: lock again with a newer version of the tool")
    return f"{name}=={version}" + "".join(f" --hash={each}" for each in known)


def from_elsewhere(name, where):
    return Problem(f"{name} comes from {where}: packages come from an index; publish it, or put its code into the function's folder")


def reached(roots, edges):
    """Every (name, extra) that is reached; an edge is followed once."""
    seen, waiting = set(), list(roots)
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        waiting.extend(edges(each))
    return seen


def pyproject():
    data = project()
    table = data.get("project", {})
    if "dependencies" in table.get("dynamic", []):
        raise Problem("dependencies is dynamic, so only the project's build backend knows them, which is not run: list them in [project], or export a requirements.txt")
    wanted = table.get("dependencies", [])
    if not wanted and set(data.get("tool", {}).get("poetry", {}).get("dependencies", {})) - {"python"}:
        raise Problem('dependencies are those of Poetry, without its lock file: run "poetry lock" and deploy poetry.lock with it')
    for each in wanted:
        try:
            Requirement(each)
        except InvalidRequirement as error:
            raise Problem(f"{each!r} in [project].dependencies is not a requirement ({str(error).splitlines()[0]})")
    return [str(each) for each in wanted]


def pylock():
    found = []
    for package in read("pylock.toml").get("packages", []):
        name = package.get("name", "?")
        if not holds(package.get("marker")):
            continue
        for kind in ("vcs", "directory", "archive"):
            if kind in package:
                raise from_elsewhere(name, f"a {kind}")
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        hashes = [f"{kind}:{value}" for file in files for kind, value in file.get("hashes", {}).items()]
        found.append(pinned(name, package.get("version", ""), hashes, "pylock.toml"))
    return found


def uv():
    packages = {}
    for package in read("uv.lock").get("package", []):
        packages.setdefault(normal(package["name"]), []).append(package)
    roots = [each for group in packages.values() for each in group if each.get("source", {}).get("virtual") == "." or each.get("source", {}).get("editable") == "."]
    if len(roots) != 1:
        raise Problem('it is that of a workspace: run "uv export --no-dev --package <name> -o requirements.txt" and deploy that')

    def chosen(dependency):
        candidates = packages.get(normal(dependency["name"]), [])
        if "version" in dependency:
            candidates = [each for each in candidates if each.get("version") == dependency["version"]]
        if len(candidates) != 1:
            raise Problem(f"it does not say which {dependency['name']} is meant: run \"uv lock\" again")
        return candidates[0]

    def follow(dependencies):
        for dependency in dependencies:
            if holds(dependency.get("marker")):
                package = chosen(dependency)
                key = (normal(package["name"]), package.get("version"))
                yield (*key, None)
                for extra in dependency.get("extra", []):
                    yield (*key, extra)

    def edges(each):
        name, version, extra = each
        package = next(found for found in packages[name] if found.get("version") == version)
        if extra is None:
            return follow(package.get("dependencies", []))
        return follow(package.get("optional-dependencies", {}).get(extra, []))

    found = set()
    for name, version, _ in reached(follow(roots[0].get("dependencies", [])), edges):
        package = next(each for each in packages[name] if each.get("version") == version)
        source = package.get("source", {})
        if "registry" not in source:
            raise from_elsewhere(name, " ".join(str(part) for part in next(iter(source.items()), ("?",))))
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        found.add(pinned(name, version, [file.get("hash") for file in files], "uv.lock"))
    return sorted(found)


def poetry():
    lock, data = read("poetry.lock"), project()
    packages = {}
    for package in lock.get("package", []):
        packages.setdefault(normal(package["name"]), []).append(package)

    def chosen(name):
        candidates = [each for each in packages.get(name, []) if holds(whole(each.get("markers")))]
        if len(candidates) > 1:
            raise Problem(f'it has several versions of {name}: run "poetry export -o requirements.txt" and deploy that')
        return candidates[0] if candidates else None

    def whole(markers):
        """Poetry 2 has one for each group where they differ."""
        return markers.get("main") if isinstance(markers, dict) else markers

    def follow(dependencies):
        for name, wanted in dependencies.items():
            if normal(name) == "python":
                continue
            for each in wanted if isinstance(wanted, list) else [wanted]:
                details = each if isinstance(each, dict) else {}
                if details.get("optional") or not holds(details.get("markers")):
                    continue
                yield (normal(name), None)
                for extra in details.get("extras", []):
                    yield (normal(name), normal(extra))

    def edges(each):
        name, extra = each
        package = chosen(name)
        if package is None:
            return
        if extra is None:
            yield from follow(package.get("dependencies", {}))
            return
        extras = {normal(key): value for key, value in package.get("extras", {}).items()}
        for wanted in extras.get(extra, []):
            requirement = re.match(r"[A-Za-z0-9._-]+", wanted)
            if requirement:
                yield (normal(requirement[0]), None)

    roots = list(follow(data.get("tool", {}).get("poetry", {}).get("dependencies", {})))
    for text in data.get("project", {}).get("dependencies", []):
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            name = normal(requirement.name)
            roots += [(name, None), *((name, normal(extra)) for extra in requirement.extras)]
    for name, _ in roots:
        if name not in packages:
            raise Problem(f'it does not have {name}, which pyproject.toml asks for: run "poetry lock" and deploy it again')
    found = set()
    for name, _ in reached(roots, edges):
        package = chosen(name)
        if package is None:
            continue
        source = package.get("source", {}).get("type", "legacy")
        if source != "legacy":
            raise from_elsewhere(name, f"{source} {package['source'].get('url', '')}")
        found.add(pinned(name, package["version"], [file.get("hash") for file in package.get("files", [])], "poetry.lock"))
    return sorted(found)


READERS = {"pyproject.toml": pyproject, "pylock.toml": pylock, "uv.lock": uv, "poetry.lock": poetry}

try:
    answer = {"requirements": READERS[sys.argv[1]]()}
except Problem as problem:
    answer = {"problem": str(problem)}
except (AttributeError, KeyError, TypeError, ValueError) as error:
    answer = {"problem": f"it is damaged ({type(error).__name__}: {str(error)[:200]}): lock again"}
with open(sys.argv[2], "x", encoding="utf-8") as file:
    json.dump(answer, file)

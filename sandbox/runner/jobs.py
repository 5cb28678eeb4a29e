"""What a job is, checked before anything is done for it. sandbox/src/protocol.ts says the same."""
import base64
import binascii
import json
import shutil
import unicodedata

MIB = 1024 * 1024
MAX_JOB_BYTES = 16 * MIB
MAX_SOURCE = MIB
MAX_FILES = 100
MAX_PATH = 255

LIMITS = {
    "timeoutMs": (1, 3_600_000),
    "memoryBytes": (16 * MIB, 64 * 1024 * MIB),
    "outputBytes": (0, 8 * MIB),
    "fileBytes": (0, 1024 * MIB),
    "processes": (1, 1024),
}

SEARCH_PATH = "/opt/kadre/bin:/usr/local/bin:/usr/bin:/bin"

# The name of the program, and what may run it, the best first.
LANGUAGES = {
    "python": ("main.py", [["python3", "-u", "-B", "-s"]]),
    "javascript": ("main.js", [["node"]]),
    "shell": ("main.sh", [["bash"], ["sh"]]),
}


class Rubbish(Exception):
    """Says what is wrong with a job."""


class Job:
    def __init__(self, document: dict) -> None:
        self.language = document["language"]
        self.source = document["source"]
        self.limits = document["limits"]
        self.has_input = "input" in document
        self.input = document.get("input")
        self.files = {file["path"]: contents(file) for file in document.get("files", [])}
        self.program, candidates = LANGUAGES[self.language]
        self.command = next((words for words in map(found, candidates) if words), None)
        if self.command is None:
            raise Rubbish(f"nothing here runs {self.language}: there is no {candidates[0][0]} in {SEARCH_PATH}")


def found(words: list) -> list:
    path = shutil.which(words[0], path=SEARCH_PATH)
    return [path, *words[1:]] if path else []


def read_job(text: bytes) -> Job:
    try:
        document = json.loads(text, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise Rubbish(f"the job is not JSON: {error}") from None
    check(document)
    return Job(document)


def no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def check(document: object) -> None:
    fields(document, "the job", {"language", "source", "limits"}, {"input", "files"})
    require(document["language"] in LANGUAGES if isinstance(document["language"], str) else False, "language is unknown")
    source = document["source"]
    require(isinstance(source, str) and units(source) <= MAX_SOURCE, "source must be text of at most 1 MiB")
    require(encodable(source), "source is not Unicode")
    check_limits(document["limits"])
    check_files(document.get("files", []), LANGUAGES[document["language"]][0])


def check_limits(limits: object) -> None:
    fields(limits, "limits", set(LIMITS), set())
    for name, (least, most) in LIMITS.items():
        value = limits[name]
        whole = isinstance(value, int) and not isinstance(value, bool)
        require(whole and least <= value <= most, f"limits.{name} must be a whole number from {least} to {most}")


def check_files(files: object, program: str) -> None:
    require(isinstance(files, list) and len(files) <= MAX_FILES, f"files must be a list of at most {MAX_FILES}")
    taken = {program}
    for file in files:
        require(isinstance(file, dict) and ("text" in file) != ("base64" in file), "a file has either text or base64")
        fields(file, "a file", {"path", "text" if "text" in file else "base64"}, set())
        path = file["path"]
        require(isinstance(path, str) and is_path(path), f"{shown(str(path))!r} is no path for a file")
        require(path not in taken, f"there are two files {path!r}, or it is the program itself")
        require(isinstance(file.get("text", file.get("base64")), str), f"the contents of {path!r} are not text")
        taken.add(path)
    for path in taken:
        parents = {path[:end] for end, letter in enumerate(path) if letter == "/"}
        require(not parents & taken, f"{path!r} lies in what is a file")


def fields(value: object, what: str, required: set, optional: set) -> None:
    require(isinstance(value, dict), f"{what} must be an object")
    missing = sorted(required - value.keys())
    require(not missing, f"{what} has no {', '.join(missing)}")
    unknown = sorted(value.keys() - required - optional)
    require(not unknown, f"{what} has unknown fields: {shown(', '.join(unknown))}")


def contents(file: dict) -> bytes:
    try:
        return file["text"].encode() if "text" in file else base64.b64decode(file["base64"], validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise Rubbish(f"the contents of {file['path']!r} cannot be decoded") from None


def is_path(path: str) -> bool:
    return 0 < units(path) <= MAX_PATH and all(part not in ("", ".", "..") for part in path.split("/")) and is_clean(path)


def is_clean(path: str) -> bool:
    return not any(letter == "\\" or is_hidden(letter) for letter in path)


def is_hidden(letter: str) -> bool:
    """Also what is not assigned yet: another version of Unicode may have made it invisible."""
    return unicodedata.category(letter)[0] == "C" or unicodedata.category(letter) in ("Zl", "Zp")


def shown(text: str, most: int = MAX_PATH) -> str:
    """Fit to be read by people and models."""
    clean = "".join("?" if letter == "\\" or is_hidden(letter) else letter for letter in text[:most])
    while units(clean) > most:
        clean = clean[:-1]
    return clean


def units(text: str) -> int:
    """Its length as JavaScript counts it."""
    return len(text) + sum(1 for letter in text if letter > "\uffff")


def encodable(text: str) -> bool:
    try:
        text.encode()
        return True
    except UnicodeEncodeError:
        return False


def require(holds: bool, message: str) -> None:
    if not holds:
        raise Rubbish(message)

"""The folders of a program: what it is given, and what it leaves behind."""
import base64
import itertools
import json
import os
import stat

import jobs

MAX_ENTRIES = 10_000
MAX_DEPTH = 64
MAX_LEFT_OUT = 100
# The program and what it was given, which lie there as well.
OWN_BYTES = 2 * jobs.MAX_JOB_BYTES
MAX_RETURNED_BYTES = 8 * jobs.MIB
READ_ONCE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Workspace:
    def __init__(self, root: str) -> None:
        self.root = root
        self.files = os.path.join(root, "files")
        self.temporary = os.path.join(root, "tmp")
        self.exchange = os.path.join(root, "exchange")
        self.input = os.path.join(self.exchange, "input.json")
        self.output = os.path.join(self.exchange, "output.json")
        self.given = {}
        self.program = None

    def lay_out(self, job) -> None:
        try:
            for folder in (self.files, self.temporary, self.exchange):
                os.mkdir(folder, 0o700)
            self.program = os.path.join(self.files, job.program)
            for path, data in {**job.files, job.program: job.source.encode()}.items():
                self.write(os.path.join(self.files, path), data)
            if job.has_input:
                self.write(self.input, json.dumps(job.input).encode())
        except OSError as error:
            raise jobs.Rubbish(f"the files cannot be written: {error.strerror}") from None

    def write(self, path: str, data: bytes) -> None:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        with open(path, "xb") as file:
            file.write(data)
            self.given[path] = trace(os.fstat(file.fileno()))
        self.given[path] = trace(os.lstat(path))

    def environment(self, job) -> dict:
        """All that there is."""
        environment = {
            "PATH": jobs.SEARCH_PATH,
            "HOME": self.temporary,
            "TMPDIR": self.temporary,
            "LANG": "C.UTF-8",
            "MALLOC_ARENA_MAX": "2",
            "KADRE_OUTPUT": self.output,
        }
        return {**environment, "KADRE_INPUT": self.input} if job.has_input else environment

    def is_beyond(self, most: int) -> bool:
        """What is deleted and still open is not seen here: the file system's own bound is for that."""
        total = 0
        for count, (_, status, depth) in enumerate(walk(self.root)):
            total += status.st_blocks * 512
            if total > most + OWN_BYTES or count + 1 >= MAX_ENTRIES or depth >= MAX_DEPTH:
                return True
        return False

    def harvest(self, limits: dict) -> dict:
        """When nothing of the program runs any more."""
        return {**self.read_output(limits["outputBytes"]), **self.read_files(min(limits["fileBytes"], MAX_RETURNED_BYTES))}

    def read_output(self, most: int) -> dict:
        try:
            data = read_regular(self.output, most)
        except FileNotFoundError:
            return {}
        except (OSError, Unfit) as error:
            return {"outputProblem": jobs.shown(f"$KADRE_OUTPUT cannot be read: {error}", 500)}
        try:
            output = json.loads(data, parse_constant=jobs.no_constant)
            # What no JSON parser elsewhere would take is found out here.
            json.dumps(output, allow_nan=False)
            return {"output": output}
        except (ValueError, RecursionError) as error:
            return {"outputProblem": jobs.shown(f"What is in $KADRE_OUTPUT is not JSON: {error}", 500)}

    def read_files(self, room: int) -> dict:
        files, left_out = [], []
        for path, status, _ in sorted(walk(self.files), key=lambda entry: entry[0]):
            if stat.S_ISDIR(status.st_mode) or path == self.program or self.given.get(path) == trace(status):
                continue
            name = os.path.relpath(path, self.files)
            try:
                file = self.file_of(path, name, status, room, len(files))
                room -= status.st_size
                files.append(file)
            except (OSError, Unfit) as error:
                left_out.append({"path": jobs.shown(name), "why": jobs.shown(str(error), 200)})
        return {"files": files, "leftOut": left_out[:MAX_LEFT_OUT]}

    def file_of(self, path: str, name: str, status: os.stat_result, room: int, count: int) -> dict:
        if not jobs.encodable(name) or not jobs.is_path(name):
            raise Unfit("its name is too long, or has characters that no name of a file should have")
        if count >= jobs.MAX_FILES:
            raise Unfit(f"there are more than {jobs.MAX_FILES} files")
        if status.st_size > room:
            raise Unfit("there is no room for it in what is handed back")
        data = read_regular(path, room)
        text = as_text(data)
        return {"path": name, "base64": base64.b64encode(data).decode()} if text is None else {"path": name, "text": text}


class Unfit(Exception):
    """Says why a file is not handed back."""


def read_regular(path: str, most: int) -> bytes:
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise Unfit("it is no ordinary file")
    with os.fdopen(os.open(path, READ_ONCE), "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise Unfit(f"it has more than {most} bytes")
    return data


def walk(folder: str):
    """Paths, states and depths of all below it; follows no link. What vanishes meanwhile is not there."""
    folders = [(folder, 0)]
    seen = 0
    while folders:
        current, depth = folders.pop()
        for entry, status in listed(current):
            seen += 1
            if seen > MAX_ENTRIES:
                return
            yield entry.path, status, depth
            if stat.S_ISDIR(status.st_mode) and depth < MAX_DEPTH:
                folders.append((entry.path, depth + 1))


def listed(folder: str) -> list:
    try:
        return list(states(folder))
    except PermissionError:
        # Its owner, who is us, has shut it.
        try:
            os.chmod(folder, 0o700)
            return list(states(folder))
        except OSError:
            return []
    except OSError:
        return []


def states(folder: str):
    with os.scandir(folder) as entries:
        for entry in itertools.islice(entries, MAX_ENTRIES + 1):
            try:
                yield entry, entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue


def trace(status: os.stat_result) -> tuple:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode


def as_text(data: bytes):
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None

import errno

import wasilab
from wasilab import Grants, MemDir
from wasilab.capabilities.protocols import BaseDirectory, BaseFile, Entry, FileType, OpenHow, Stat
from wasilab.course import program


class Text(BaseFile):
    filetype = FileType.REGULAR_FILE

    def __init__(self, board):
        self.board, self.at = board, 0

    def read(self, buffers):
        done = 0
        for buffer in buffers:
            piece = self.board.text[self.at : self.at + len(buffer)]
            buffer[: len(piece)] = piece
            self.at += len(piece)
            done += len(piece)
        return done

    def write(self, buffers):
        data = b"".join(bytes(buffer) for buffer in buffers)
        text = self.board.text
        self.board.text = text[: self.at] + data + text[self.at + len(data) :]
        self.at += len(data)
        return len(data)

    def stat(self):
        return Stat(0, 2, self.filetype, 1, len(self.board.text), 0, 0, 0)


class Clipboard(BaseDirectory):
    writable = True

    def __init__(self):
        self.text = b""

    def open(self, path, how):
        if path in (".", ""):
            return self
        if path != "text":
            raise OSError(errno.ENOENT, "no such file")
        if how.truncate:
            self.text = b""
        return Text(self)

    def stat_path(self, path, follow):
        return self.open(path, OpenHow()).stat()

    def list(self):
        return [Entry("text", 2, FileType.REGULAR_FILE)]


def used(board):
    sent = Grants(dirs={"in": MemDir({"a.txt": "hello\n"}), "board": board})
    first = wasilab.run(program("copy"), ["in/a.txt", "board/text"], sent)
    return wasilab.run(program("show"), ["board/text"], Grants(dirs={"board": board})), first


def wrong():
    return used(BaseDirectory())


def right():
    return used(Clipboard())

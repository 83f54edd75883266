// words FILE: count the lines, words and bytes of a file, by the calls of WASI themselves.

import {
  errno, errnoToString, fd_close, fd_prestat_dir_name, fd_prestat_get, fd_read, lookupflags, path_open, prestat, rights
} from "bindings/wasi_snapshot_preview1";

const scratch = memory.data(32);
const buffer = memory.data(4096);

/** Open `path` for reading beneath the granted directory whose name it starts with; minus the errno if refused. */
function open(path: string): i32 {
  for (let directory: u32 = 3; ; directory++) { // 0, 1 and 2 are the standard streams
    if (fd_prestat_get(directory, changetype<prestat>(scratch)) != errno.SUCCESS) return -(errno.NOENT as i32); // there are no more
    const length = load<u32>(scratch, 4);
    if (length > 4096 || fd_prestat_dir_name(directory, buffer, length) != errno.SUCCESS) continue;
    let name = String.UTF8.decodeUnsafe(buffer, length);
    if (!name.endsWith("/")) name += "/";
    if (!path.startsWith(name)) continue;
    const rest = String.UTF8.encode(path.substring(name.length));
    const result = path_open(
      directory, lookupflags.SYMLINK_FOLLOW, changetype<usize>(rest), rest.byteLength,
      0, rights.FD_READ | rights.FD_SEEK, 0, 0, scratch
    );
    return result == errno.SUCCESS ? load<i32>(scratch) : -(result as i32);
  }
}

function main(): void {
  if (process.argv.length != 2) {
    process.stderr.write("usage: words FILE\n");
    process.exit(2);
  }
  const path = process.argv[1];
  const file = open(path);
  if (file < 0) {
    process.stderr.write(path + ": " + errnoToString(-file as errno) + "\n");
    process.exit(1);
  }
  let lines = 0, words = 0, bytes = 0, inside = false;
  while (true) {
    store<usize>(scratch, buffer); // one iovec: pointer and length
    store<u32>(scratch, 4096, 4);
    if (fd_read(file, scratch, 1, scratch + 8) != errno.SUCCESS) {
      process.stderr.write("words: cannot read the file\n");
      process.exit(1);
    }
    const n = load<u32>(scratch, 8);
    if (n == 0) break;
    bytes += n;
    for (let i: u32 = 0; i < n; i++) {
      const c = load<u8>(buffer + i);
      if (c == 10) lines++;
      const space = c == 32 || (c >= 9 && c <= 13);
      if (!space && !inside) words++;
      inside = !space;
    }
  }
  fd_close(file);
  console.log(path + ": " + lines.toString() + " lines, " + words.toString() + " words, " + bytes.toString() + " bytes");
}

main();

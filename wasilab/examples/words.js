// words FILE: count the lines, words and bytes of a file.

import { getArguments } from 'wasi:cli/environment';
import { getDirectories } from 'wasi:filesystem/preopens';
import { exitWithCode } from 'wasi:cli/exit';

const [, path, ...more] = getArguments();
if (path === undefined || more.length) {
  console.error("usage: words FILE");
  exitWithCode(2);
}
// JavaScript has no files of its own: a path is looked up beneath the directory that holds it.
const [directory, guest] = getDirectories().find(([, name]) => name === '/' || path.startsWith(name + '/')) ?? [];
let file;
try {
  if (directory === undefined) throw { payload: 'no-entry' };
  file = directory.openAt({ symlinkFollow: true }, path.slice(guest.length).replace(/^\/+/, ''), {}, { read: true });
} catch (error) {
  console.error(`${path}: ${error.payload}`);
  exitWithCode(1);
}
const space = (byte) => byte === 32 || (9 <= byte && byte <= 13);
let lines = 0, words = 0, bytes = 0, inside = false;
for (let end = false; !end;) {
  let data;
  [data, end] = file.read(65536n, BigInt(bytes));
  for (const byte of data) {
    if (byte === 10) lines++;
    if (!space(byte) && !inside) words++;
    inside = !space(byte);
  }
  bytes += data.length;
}
console.log(`${path}: ${lines} lines, ${words} words, ${bytes} bytes`);

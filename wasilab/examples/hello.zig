const wasi = @import("std").os.wasi;

pub fn main() void {
    const text = "Hello, WASI!\n";
    const parts = [_]wasi.ciovec_t{.{ .base = text, .len = text.len }};
    var written: usize = undefined;
    _ = wasi.fd_write(1, &parts, parts.len, &written);
}

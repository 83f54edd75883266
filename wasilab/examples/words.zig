// words FILE: count the lines, words and bytes of a file, by the calls of WASI themselves.

const std = @import("std");
const wasi = std.os.wasi;

fn write(fd: wasi.fd_t, text: []const u8) void {
    const parts = [_]wasi.ciovec_t{.{ .base = text.ptr, .len = text.len }};
    var written: usize = undefined;
    _ = wasi.fd_write(fd, &parts, parts.len, &written);
}

/// Open `path` for reading beneath the granted directory whose name it starts with.
fn open(path: []const u8, file: *wasi.fd_t) wasi.errno_t {
    var name_buffer: [256]u8 = undefined;
    var directory: wasi.fd_t = 3; // 0, 1 and 2 are the standard streams
    while (true) : (directory += 1) {
        var granted: wasi.prestat_t = undefined;
        if (wasi.fd_prestat_get(directory, &granted) != .SUCCESS) return .NOENT; // there are no more
        const length = granted.u.dir.pr_name_len;
        if (length > name_buffer.len) continue;
        if (wasi.fd_prestat_dir_name(directory, &name_buffer, length) != .SUCCESS) continue;
        const name = std.mem.trimEnd(u8, name_buffer[0..length], "/");
        if (!std.mem.startsWith(u8, path, name) or path.len <= name.len or path[name.len] != '/') continue;
        const rest = path[name.len + 1 ..];
        const rights = wasi.rights_t{ .FD_READ = true, .FD_SEEK = true };
        return wasi.path_open(directory, .{ .SYMLINK_FOLLOW = true }, rest.ptr, rest.len, .{}, rights, .{}, .{}, file);
    }
}

pub fn main() void {
    var pointers: [64][*:0]u8 = undefined;
    var strings: [4096]u8 = undefined;
    var count: usize = 0;
    var size: usize = 0;
    _ = wasi.args_sizes_get(&count, &size);
    if (count != 2 or size > strings.len) {
        write(2, "usage: words FILE\n");
        wasi.proc_exit(2);
    }
    _ = wasi.args_get(&pointers, &strings);
    const path = std.mem.span(pointers[1]);

    var file: wasi.fd_t = undefined;
    const opened = open(path, &file);
    if (opened != .SUCCESS) {
        write(2, path);
        write(2, ": ");
        write(2, @tagName(opened));
        write(2, "\n");
        wasi.proc_exit(1);
    }

    var lines: u64 = 0;
    var words: u64 = 0;
    var bytes: u64 = 0;
    var inside = false;
    var buffer: [4096]u8 = undefined;
    while (true) {
        const parts = [_]wasi.iovec_t{.{ .base = &buffer, .len = buffer.len }};
        var n: usize = 0;
        if (wasi.fd_read(file, &parts, parts.len, &n) != .SUCCESS) {
            write(2, "words: cannot read the file\n");
            wasi.proc_exit(1);
        }
        if (n == 0) break;
        bytes += n;
        for (buffer[0..n]) |c| {
            if (c == '\n') lines += 1;
            const space = std.ascii.isWhitespace(c);
            if (!space and !inside) words += 1;
            inside = !space;
        }
    }
    _ = wasi.fd_close(file);

    var text: [4400]u8 = undefined;
    const line = std.fmt.bufPrint(&text, "{s}: {d} lines, {d} words, {d} bytes\n", .{ path, lines, words, bytes });
    write(1, line catch unreachable);
}

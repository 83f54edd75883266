// words FILE: count the lines, words and bytes of a file.

#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>

int main(int argc, char **argv) {
    if (argc != 2) {
        std::cerr << "usage: words FILE\n";
        return 2;
    }
    std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(std::fopen(argv[1], "rb"), std::fclose);
    if (!file) {
        std::cerr << argv[1] << ": " << std::strerror(errno) << "\n";
        return 1;
    }
    long lines = 0, words = 0, bytes = 0;
    bool inside = false;
    for (int c; (c = std::getc(file.get())) != EOF;) {
        bytes++;
        lines += c == '\n';
        bool space = std::isspace(c);
        words += !space && !inside;
        inside = !space;
    }
    if (std::ferror(file.get())) {
        std::cerr << argv[1] << ": " << std::strerror(errno) << "\n";
        return 1;
    }
    std::cout << argv[1] << ": " << lines << " lines, " << words << " words, " << bytes << " bytes\n";
}

#include <iostream>

int main() {
    std::cout << "Hello, WASI!\n";
}

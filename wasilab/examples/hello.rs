fn main() {
    println!("Hello, WASI!");
}

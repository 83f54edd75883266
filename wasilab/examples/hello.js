console.log("Hello, WASI!");

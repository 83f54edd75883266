// words FILE: count the lines, words and bytes of a file.
package main

import (
	"bytes"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: words FILE")
		os.Exit(2)
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	space := func(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
	words, inside := 0, false
	for _, c := range text {
		if !space(c) && !inside {
			words++
		}
		inside = !space(c)
	}
	lines := bytes.Count(text, []byte("\n"))
	fmt.Printf("%s: %d lines, %d words, %d bytes\n", os.Args[1], lines, words, len(text))
}

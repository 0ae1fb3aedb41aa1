// peer-go.go: an item through goroutines and buffered channels.
//
//	engine-peer-go go-2|go-3 ITEMS
//
// Called by engine.sh. Values of 8 bytes go by copy: Go has nothing cheaper.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	if len(os.Args) != 3 || os.Args[1] != "go-2" && os.Args[1] != "go-3" {
		fmt.Fprintln(os.Stderr, "usage: engine-peer-go go-2|go-3 ITEMS")
		os.Exit(2)
	}
	n, _ := strconv.ParseUint(os.Args[2], 10, 64)
	source := make(chan uint64, 1024)
	last := source
	expected := n * (n - 1) / 2
	begin := time.Now()

	go func() {
		for i := uint64(0); i < n; i++ {
			source <- i
		}
		close(source)
	}()
	if os.Args[1] == "go-3" {
		last = make(chan uint64, 1024)
		expected += n
		go func() {
			for v := range source {
				last <- v + 1
			}
			close(last)
		}()
	}
	sum := uint64(0)
	for v := range last {
		sum += v
	}
	ns := time.Since(begin).Nanoseconds()
	if sum != expected {
		fmt.Fprintln(os.Stderr, "items were lost")
		os.Exit(1)
	}
	fmt.Printf("%s %.3f ns\n", os.Args[1], float64(ns)/float64(n))
}

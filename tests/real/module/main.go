// Hello is built and run under the shim, which is to make no difference.
package main

import "fmt"

func main() { fmt.Println("hello") }

// What ko builds an image of, for the part `bases` of the interop suite.
package main

func main() { println("hello") }

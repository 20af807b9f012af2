#!/bin/bash
# Reads `go test -v`: prints a line a test as it ends, and all that was said where one fails.
# What passed is not worth its logs.
said=()
tell() {
	[ ${#said[@]} -eq 0 ] || printf '%s\n' "${said[@]}"
	said=()
}
crashed=no
while IFS= read -r line; do
	case $line in
	"--- PASS"*) said=() && echo "$line" ;;
	"--- SKIP"* | "--- FAIL"*) said+=("$line") && tell ;;
	PASS) said=() ;;
	ok\ * | \?\ * | "ok	"* | "?	"*) said=() && echo "$line" && crashed=no ;;
	FAIL*) said+=("$line") && tell && crashed=no ;;
	panic:* | "fatal error:"*) said+=("$line") && tell && crashed=yes ;;
	*) said+=("$line") && { [ $crashed = no ] || tell; } ;;
	esac
done
tell

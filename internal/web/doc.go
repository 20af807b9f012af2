// Package web answers GET by path over HTTP, and asks so: one request a connection. It
// is what a scraper, curl and ps need, without net/http, whose initialisation (and that of
// the cryptography behind it) each of our processes would pay for at its start, serving or
// not. It never reads a body, and never keeps a connection.
//
// Read serve.go first.
package web

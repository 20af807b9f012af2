// Package bench measures what the shim costs against the least that C programs
// can do for the same work, by running processes: it imports nothing of the shim.
//
// Read plan.go first: the table of what is compared with what, and under which bar.
// The C programs are in c/, compiled at run time.
package bench

// Package front is the process that the shell started, the supervisor beside it,
// and COMMAND under both. The front stays in the shell's job and mirrors COMMAND:
// its exit, its stops, its signals. The supervisor is COMMAND's parent and a
// subreaper in a process group of its own. What the supervisor does about system
// calls is not known here: it comes in through Hooks.
//
//	shell -> front (its job's process group)
//	           |-- sentinel          same group, sees what the whole group got
//	           `-- supervisor  own group, same session: see keeper.go
//	                 `-- COMMAND  the front's group
//
// Read main.go (the front) first, then supervise.go. Signals reach the front by
// catch_unsafe.go; which of them go on to COMMAND is decided in relay.go.
package front

package policy

// key is one key of `match`, in the order of cost: what registers tell, then the
// siginfo, which has been copied, then ids, then what takes a look at procfs.
type key uint8

const (
	keySignals key = iota
	keyScope
	keyABI
	keyCodes
	keyValues
	keyCallerUID
	keyCallerEUID
	keyCallerGID
	keyTargetPid
	keyTargetUID
	keyRelation
	keyCallerComm
	keyCallerExe
	keyCallerCgroup
	keyTargetComm
	keyTargetExe
	keyTargetCgroup
	keyCount
)

// String implements fmt.Stringer.
func (k key) String() string {
	return [...]string{
		"signals", "scope", "caller.abi", "codes", "values",
		"caller.uid", "caller.euid", "caller.gid", "target.pid", "target.uid", "target.relation",
		"caller.comm", "caller.exe", "caller.cgroup", "target.comm", "target.exe", "target.cgroup",
	}[k]
}

// fact is what has to be known beyond registers to answer the key.
func (k key) fact() Fact {
	return [...]Fact{
		0, FinalScope, 0, Code, Value,
		CallerUID, CallerEUID, CallerGID, TargetPid, TargetUID, Related,
		CallerComm, CallerExe, CallerCgroup, TargetComm, TargetExe, TargetCgroup,
	}[k]
}

// together are the facts that cost nothing more once one of them is had.
func (f Fact) together() Fact {
	const (
		siginfo   = Code | Value
		callerIDs = CallerUID | CallerEUID | CallerGID
		targetIDs = TargetUID | TargetPid
	)
	for _, set := range [...]Fact{siginfo, callerIDs, targetIDs} {
		if f&set != 0 {
			return set
		}
	}
	return f
}

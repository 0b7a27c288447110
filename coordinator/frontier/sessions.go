package frontier

import "salvor"

// SessionInfo is a session as who ends silent ones needs it.
type SessionInfo struct {
	ID      salvor.SessionID
	Leases  int
	Answers uint64 // remembered ever: it rises with what the session does
}

// Sessions lists all sessions by id.
func (m *Machine) Sessions() []SessionInfo {
	m.mu.RLock()
	defer m.mu.RUnlock()
	ids := m.sessionIDs()
	list := make([]SessionInfo, len(ids))
	for i, id := range ids {
		s := m.sessions[id]
		list[i] = SessionInfo{ID: id, Leases: len(s.leases), Answers: s.next}
	}
	return list
}

// HasSession says whether a session has not ended.
func (m *Machine) HasSession(id salvor.SessionID) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.sessions[id] != nil
}

// endIdle ends a session that holds nothing and got no answer since. The marker
// is the number of its answers, which is stored with them: every extend adds one,
// so a worker that lives is never ended.
func (t *tx) endIdle(c *EndIdle) {
	if s := t.m.sessions[c.Session]; s != nil && len(s.leases) == 0 && s.next == c.Answers {
		t.end(s)
	}
}

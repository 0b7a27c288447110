package fetch

type view struct {
	done bool
	body []byte
}

// View is the entity with its content coding removed, at most Config.MaxView
// bytes, for media types that can hold links; nil for all others. It is made
// on the first call and belongs to the Capture: it must not be changed, and is
// gone after Close. What could not be decoded is added to Notes.
func (c *Capture) View() []byte { return c.view.body }

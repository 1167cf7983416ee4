package pubsub

// enterMembers makes a subscriber a member of its topic.
func (c *Client) enterMembers(*subscription) {}

// exitMembers ends what enterMembers began.
func (c *Client) exitMembers(*subscription) {}

// askMembers answers with the members of a topic.
func (c *Client) askMembers(id, topic string) {
	c.refuse(id, failure{unavailable, "there is no presence here"})
}

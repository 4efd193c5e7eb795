-- fragment: emit_event
-- Insert the event of a change, for each row of the table `changed`.
insert into outbox_events (id, topic, key, value)
select %(event_id)s, %(event_topic)s, %(event_key)s, %(event_value)s from changed

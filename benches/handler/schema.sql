CREATE TABLE events (
  id text PRIMARY KEY,
  type text NOT NULL,
  created bigint NOT NULL,
  body text NOT NULL
);
CREATE TABLE sessions (
  id text PRIMARY KEY,
  user_id text,
  status text NOT NULL,
  last_error text,
  event_created bigint NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, event_created DESC);

// The handler that Stripe's guide leads to: the official client checks the signature, one statement keeps the event under
// its unique id and brings the session up to date, and the answer waits for the commit.
//
// It is written to be fast rather than typical: one round trip to the database for each delivery, prepared statements, and
// as many processes as are asked for. It does far less than Avow: no order, no attempts, no decision, no encryption, no proof.
import cluster from 'node:cluster';
import express from 'express';
import pg from 'pg';
import Stripe from 'stripe';

const { DATABASE_SOCKET, WEBHOOK_SECRET, PROCESSES, POOL } = process.env;

const KEEP = `
  WITH kept AS (
    INSERT INTO events (id, type, created, body) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING RETURNING id
  )
  INSERT INTO sessions (id, user_id, status, last_error, event_created)
  SELECT $5, $6, $7, $8, $3 FROM kept
  ON CONFLICT (id) DO UPDATE
    SET status = excluded.status, last_error = excluded.last_error, event_created = excluded.event_created
    WHERE sessions.event_created <= excluded.event_created`;
const READ = `
  SELECT id, status, last_error, event_created FROM sessions WHERE user_id = $1 ORDER BY event_created DESC LIMIT 1`;

async function serve() {
  const stripe = new Stripe('sk_test_unused');
  const pool = new pg.Pool({ host: DATABASE_SOCKET, user: 'avow', database: 'postgres', max: Number(POOL) });
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');

  app.post('/webhooks/stripe', express.raw({ type: 'application/json' }), async (request, response) => {
    let event;
    try {
      event = stripe.webhooks.constructEvent(request.body, request.headers['stripe-signature'], WEBHOOK_SECRET);
    } catch (error) {
      return response.status(400).send(`Webhook Error: ${error.message}`);
    }
    const session = event.data.object;
    await pool.query({
      name: 'keep',
      text: KEEP,
      values: [
        event.id,
        event.type,
        event.created,
        request.body.toString(),
        session.id,
        session.metadata?.user_id,
        session.status,
        session.last_error?.code,
      ],
    });
    response.json({ received: true });
  });

  app.get('/v1/users/:id', async (request, response) => {
    const { rows } = await pool.query({ name: 'read', text: READ, values: [request.params.id] });
    if (rows.length === 0) {
      return response.status(404).json({ error: 'not found' });
    }
    response.json(rows[0]);
  });

  // All processes of a cluster that listen on port 0 share the port that the first one was given.
  const server = app.listen(0, '127.0.0.1', () => process.send(server.address().port));
}

if (cluster.isPrimary) {
  const told = new Set();
  for (let count = 0; count < Number(PROCESSES); count += 1) {
    cluster.fork().on('message', (port) => {
      told.add(count);
      if (told.size === Number(PROCESSES)) {
        console.log(`listening on ${port}`);
      }
    });
  }
} else {
  await serve();
}

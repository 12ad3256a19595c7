// BullMQ, under Node. It speaks the protocol of speaking.py; its packages are those of its environment.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { join } from 'node:path';

const require = createRequire(join(import.meta.dirname, '../../.bench/bullmq/package.json'));
const { Queue, QueueEvents, Worker } = require('bullmq');

const PAYLOAD = { path: '/data/in/file.pdf', options: { pages: [1, 2, 3], dpi: 300 }, note: 'x'.repeat(19) };
const BULK = 1000;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (words) => process.stdout.write(JSON.stringify(words) + '\n');
const seconds = () => performance.now() / 1000;
const cpu = () => { const used = process.cpuUsage(); return (used.user + used.system) / 1e6; };
const nanoseconds = () => Math.round((performance.timeOrigin + performance.now()) * 1e6);

const request = { seconds: 1e9, ...JSON.parse((await lines.next()).value) };
const address = new URL(request.url);
const connection = { host: address.hostname, port: Number(address.port), maxRetriesPerRequest: null };

async function ready() {
  say({ said: 'ready' });
  await lines.next();
}

async function put(queue, jobs, callers) {
  if (callers === 0) {
    for (let begin = 0; begin < jobs; begin += BULK) {
      const share = Math.min(BULK, jobs - begin);
      await queue.addBulk(Array.from({ length: share }, () => ({ name: request.job, data: PAYLOAD })));
    }
    return;
  }
  let left = jobs;
  const caller = async () => { while (left-- > 0) await queue.add(request.job, PAYLOAD); };
  await Promise.all(Array.from({ length: callers }, caller));
}

let started = 0, begun = 0, used = 0;
async function work(job) {
  if (job.name === 'note') {
    say({ said: 'started', at: nanoseconds() });
    return;
  }
  started += 1;
  if (started === 1) {
    begun = seconds();
    used = cpu();
  } else if (started === request.jobs || seconds() - begun >= request.seconds) {
    say({ said: 'drained', jobs: started - 1, seconds: seconds() - begun, cpu: cpu() - used });
    process.exit(0);
  }
  if (job.name === 'wait') await new Promise((done) => setTimeout(done, 10));
}

const queue = new Queue('bench', { connection });
await queue.waitUntilReady();
if (request.do === 'drain' || request.do === 'serve') {
  if (request.do === 'drain') await put(queue, request.fill, 0);
  await ready();
  new Worker('bench', work, { connection, concurrency: request.slots });
} else if (request.do === 'enqueue') {
  await queue.add(request.job, PAYLOAD);
  await ready();
  const from = seconds(), usedBefore = cpu();
  await put(queue, request.jobs, request.callers);
  say({ said: 'enqueued', seconds: seconds() - from, cpu: cpu() - usedBefore });
} else {
  const events = new QueueEvents('bench', { connection });
  await events.waitUntilReady();
  await ready();
  const enqueued = [], results = [];
  for (let number = 0; number < request.jobs; number += 1) {
    enqueued.push(nanoseconds());
    const job = await queue.add('note', PAYLOAD);
    await job.waitUntilFinished(events, 10_000);
    results.push(nanoseconds());
  }
  say({ said: 'asked', enqueued, results });
}

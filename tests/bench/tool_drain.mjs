// One live client of every group for some seconds, that reads and throws away:
//   node tool_drain.mjs BASE_URL TOKEN SECONDS
import { connect } from '../protocol/client.mjs';
import { subscribe } from '../protocol/schema.mjs';

const [base, token, seconds] = process.argv.slice(2);
const port = Number(new URL(base).port);
const c = await connect({ url: base, token, port, address: { host: '127.0.0.1', port } });
c.stream.send(subscribe({ groups: c.model.catalog.groups.map((g) => ({ group: g.id })) }));
await c.stream.until('batch');
c.stream.onData = () => {};
setTimeout(() => process.exit(0), Number(seconds) * 1000);

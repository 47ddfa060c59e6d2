// The package `ws` alone: what one says, all others hear. node ws.mjs PORT [KEY CERTIFICATE]
import { readFileSync } from 'node:fs';
import { createServer as plain } from 'node:http';
import { createServer as secure } from 'node:https';
import { WebSocketServer } from 'ws';
const [port, key, cert] = process.argv.slice(2);
const door = cert ? secure({ key: readFileSync(key), cert: readFileSync(cert), minVersion: 'TLSv1.3' }) : plain();
const server = new WebSocketServer({ server: door, perMessageDeflate: false });
server.on('connection', (speaker) => {
  speaker.on('message', (word) => {
    const text = word.toString();
    for (const other of server.clients) if (other !== speaker && other.readyState === 1) other.send(text);
  });
});
door.listen({ host: '127.0.0.1', port: Number(port), backlog: 4096 });

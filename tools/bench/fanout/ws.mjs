// The package `ws` alone: what one says, all others hear. node ws.mjs PORT
import { WebSocketServer } from 'ws';
const port = Number(process.argv[2]);
const server = new WebSocketServer({ host: '127.0.0.1', port, backlog: 4096, perMessageDeflate: false });
server.on('connection', (speaker) => {
  speaker.on('message', (word) => {
    const text = word.toString();
    for (const other of server.clients) if (other !== speaker && other.readyState === 1) other.send(text);
  });
});

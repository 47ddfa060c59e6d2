// Socket.IO on WebSockets alone: `pub` of one is `msg` to all others. node socketio.mjs PORT
import { createServer } from 'node:http';
import { Server } from 'socket.io';
const http = createServer();
const io = new Server(http, { transports: ['websocket'] });
io.on('connection', (speaker) => speaker.on('pub', (word) => speaker.broadcast.emit('msg', word)));
http.listen({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 4096 });

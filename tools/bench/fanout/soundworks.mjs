// soundworks: a state that the server owns; one client changes it and all that hold it are told. node soundworks.mjs PORT
import { Server } from '@soundworks/core/server.js';
const server = new Server({
  env: { type: 'production', port: Number(process.argv[2]), serverAddress: '127.0.0.1', useHttps: false, verbose: false },
  app: { name: 'fanout', clients: { player: { runtime: 'node' } } },
});
server.stateManager.defineClass('cue', { text: { type: 'string', default: '' } });
await server.init();
await server.start();
await server.stateManager.create('cue');

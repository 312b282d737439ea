/** A resolver for tests, by UDP and TCP: every name has the address 203.0.113.9. bun upstream-resolver.ts ADDRESS */
import { TYPE, readQuestion, writeAnswer } from "../../src/network/dns-message.ts";
import { TcpMessages } from "../../src/network/dns-responder.ts";

const hostname = process.argv[2] ?? "127.0.0.1";

function answer(message: Uint8Array): Uint8Array {
  const question = readQuestion(message);
  if (question === undefined) throw new Error("not a question");
  const data = new Uint8Array([203, 0, 113, 9]);
  const answers = question.type === TYPE.A ? [{ type: TYPE.A, ttl: 60, data }] : [];
  return writeAnswer(question, { rcode: 0, answers, isAuthoritative: false });
}

await Bun.udpSocket({
  hostname,
  port: 53,
  binaryType: "uint8array",
  socket: { data: (socket, data, port, address) => void socket.send(answer(data), port, address) },
});
Bun.listen<TcpMessages>({
  hostname,
  port: 53,
  socket: {
    binaryType: "uint8array",
    open: (socket) => {
      socket.data = new TcpMessages();
    },
    data(socket, data) {
      for (const message of socket.data.add(data)) {
        const reply = answer(message);
        socket.write(new Uint8Array([reply.length >> 8, reply.length & 255, ...reply]));
      }
    },
  },
});
console.log("ready");

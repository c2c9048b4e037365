import { connect } from "node:net";

const PREAMBLE = (kind) => Buffer.from([0x43, 0x4c, 0x42, 0x52, kind.charCodeAt(0), 1, 0, 0]);

/** Plays agent and gateway to its own guest, by the frames it is told and by noise. */
export default async function forge({ frames, connections }) {
  const answers = [];
  for (const { kind, bytes } of frames) answers.push(await speak(kind, Buffer.from(bytes, "base64")));
  for (let i = 0; i < connections; i++) connect("/run/colibri/guest.sock").on("error", () => {});
  return { answers };
}

function speak(kind, bytes) {
  return new Promise((resolve) => {
    let heard = Buffer.alloc(0);
    const socket = connect("/run/colibri/guest.sock");
    const done = () => resolve(heard.toString("latin1"));
    socket.on("data", (chunk) => {
      heard = Buffer.concat([heard, chunk]);
    });
    socket.on("error", done).on("close", done);
    socket.write(Buffer.concat([PREAMBLE(kind), bytes]));
    setTimeout(() => socket.destroy(), 150);
  });
}

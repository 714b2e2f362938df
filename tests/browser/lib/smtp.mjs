// A mail server that keeps what it is given.
import { createServer } from "node:net";

export function startMailServer() {
  const mails = [];
  const server = createServer((socket) => {
    let buffer = "";
    let mail;
    socket.setEncoding("utf8");
    socket.write("220 test\r\n");
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      buffer += chunk;
      for (let end; (end = buffer.indexOf("\r\n")) >= 0; ) {
        const line = buffer.slice(0, end);
        buffer = buffer.slice(end + 2);
        if (mail !== undefined && line !== ".") mail += `${line}\n`;
        else if (mail !== undefined) {
          mails.push(mail);
          mail = undefined;
          socket.write("250 kept\r\n");
        } else if (/^DATA/i.test(line)) {
          mail = "";
          socket.write("354 go on\r\n");
        } else if (/^QUIT/i.test(line)) socket.end("221 bye\r\n");
        else socket.write("250 ok\r\n");
      }
    });
  });
  // The first mail that matches, as soon as it is there.
  const got = async (pattern, seconds) => {
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
      const found = mails.find((it) => pattern.test(it));
      if (found) return found;
      if (Date.now() > deadline) throw new Error(`no mail like ${pattern} in ${seconds} s: ${mails.join("\n--\n")}`);
      await new Promise((done) => setTimeout(done, 100));
    }
  };
  return new Promise((done) => {
    server.listen(0, "127.0.0.1", () => {
      done({ url: `smtp://127.0.0.1:${server.address().port}`, got, stop: () => server.close() });
    });
  });
}

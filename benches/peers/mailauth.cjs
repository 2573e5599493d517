// mailauth as a peer; see README.md.

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const { createRequire } = require('module');

const [modules, verb, dir, keys] = process.argv.slice(2);
const load = createRequire(path.join(modules, 'x.js'));
const { dkimSign } = load('mailauth/lib/dkim/sign');
const { dkimVerify } = load('mailauth/lib/dkim/verify');

const messages = fs.readdirSync(dir).sort().map(name => fs.readFileSync(path.join(dir, name)));
const privateKey = fs.readFileSync(path.join(keys, 'rsa2048.pem'), 'utf8');
const record = [...fs.readFileSync(path.join(keys, 'rsa2048.txt'), 'utf8').matchAll(/"([^"]*)"/g)].map(m => m[1]).join('');

async function go() {
    for (const message of messages) {
        if (verb === 'sign') {
            const signed = await dkimSign(message, {
                canonicalization: 'relaxed/relaxed',
                algorithm: 'rsa-sha256',
                signatureData: [{ signingDomain: 'test.example', selector: 'rsa2048', privateKey }]
            });
            if (!signed.signatures) throw new Error('a message fails');
        } else {
            const { results } = await dkimVerify(message, { resolver: async () => [[record]] });
            if (results[0].status.result !== 'pass') throw new Error('a message fails');
        }
    }
}

(async () => {
    await go();
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const begin = process.hrtime.bigint();
        await go(line);
        console.log(Number(process.hrtime.bigint() - begin) / 1e3 / messages.length);
    }
})().catch(error => {
    console.error(error);
    process.exit(1);
});

"""The shapes of test/e2e/clients.test.ts through Python's http.client: `client.py HOST PORT`; one JSON object on stdout."""
import gzip
import http.client
import json
import sys

HOST, PORT = sys.argv[1], int(sys.argv[2])
BODY = bytes(i % 251 for i in range(2_000_000))
connection = http.client.HTTPConnection(HOST, PORT, timeout=20)


def ask(method, path, **options):
    connection.request(method, path, **options)
    response = connection.getresponse()
    return response, response.read()


def pieces():
    for start in range(0, len(BODY), 100_000):
        yield BODY[start:start + 100_000]


def truncated(path):
    try:
        ask('GET', path)
        return False
    except (http.client.IncompleteRead, ConnectionError):
        return True
    finally:
        connection.close()


_, get = ask('GET', '/api/echo?a=1&a=2&b=%20+%2B')
_, post = ask('POST', '/api/echo', body=BODY, headers={'Content-Type': 'application/octet-stream'})
_, chunked = ask('PUT', '/api/echo', body=pieces(), encode_chunked=True, headers={'Transfer-Encoding': 'chunked'})
head, nothing = ask('HEAD', '/api/sized')
compressed, packed = ask('GET', '/api/gzip', headers={'Accept-Encoding': 'gzip'})
_, deleted = ask('DELETE', '/api/echo', body=b'gone')
empty, none = ask('GET', '/api/empty')
print(json.dumps({
    'get': json.loads(get),
    'post': json.loads(post),
    'chunked': json.loads(chunked),
    'head': [head.status, head.getheader('content-length'), len(nothing)],
    'gzip': [compressed.getheader('content-encoding'), gzip.decompress(packed).decode()],
    'deleted': json.loads(deleted),
    'empty': [empty.status, len(none)],
    'truncated': [truncated('/api/cut-length'), truncated('/api/cut-chunks')],
}))

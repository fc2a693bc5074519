/* tests/fuzz/replay_requests.c — what the fuzzer has found, again, without libFuzzer.
 *
 *     replay_requests FILE...
 *
 * Every file is one input of fuzz_requests.c; the first that fails aborts. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_BYTES_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) {
            perror(argv[i]);
            return 2;
        }
        uint8_t *data = malloc(INPUT_BYTES_MAX);
        size_t bytes = data == NULL ? 0 : fread(data, 1, INPUT_BYTES_MAX, file);
        fclose(file);
        fprintf(stderr, "%s, %zu bytes\n", argv[i], bytes);
        LLVMFuzzerTestOneInput(data, bytes);
        free(data);
    }
    return argc > 1 ? 0 : 2;
}

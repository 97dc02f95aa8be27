/* A driver with the devices in FAKE_GPU_CAPABILITIES, such as "8.6,12.0".
   FAKE_GPU_ERROR is what cuInit returns, and FAKE_GPU_LOG is a file to which it appends the process that calls it.
   With FAKE_GPU_PRINTS it prints on the standard output, as some drivers do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int capability(int device, int *major, int *minor) {
    const char *text = getenv("FAKE_GPU_CAPABILITIES");
    for (int index = 0; text && *text; index++) {
        if (sscanf(text, "%d.%d", major, minor) != 2) return -1;
        if (index == device) return 0;
        text = strchr(text, ',');
        if (text) text++;
    }
    return -1;
}

int cuDriverGetVersion(int *version) {
    *version = 13020;
    return 0;
}

int cuInit(unsigned flags) {
    if (getenv("FAKE_GPU_PRINTS")) printf("a line of the driver");
    const char *log = getenv("FAKE_GPU_LOG"), *error = getenv("FAKE_GPU_ERROR"), *end = getenv("FAKE_GPU_CRASH");
    FILE *file = log ? fopen(log, "a") : NULL;
    if (file) {
        fprintf(file, "%d\n", (int)getpid());
        fclose(file);
    }
    if (end) abort();
    return error ? atoi(error) : 0;
}

int cuDeviceGetCount(int *count) {
    int major, minor;
    for (*count = 0; capability(*count, &major, &minor) == 0; (*count)++) {}
    return 0;
}

int cuDeviceGet(int *device, int index) {
    *device = 40 + index;
    return 0;
}

int cuDeviceGetName(char *name, int size, int device) {
    snprintf(name, size, "Fake GPU %d", device - 40);
    return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    int major, minor;
    if (capability(device - 40, &major, &minor)) return 101;
    *value = attribute == 75 ? major : minor;
    return 0;
}

int cuDeviceGetPCIBusId(char *address, int size, int device) {
    snprintf(address, size, "0000:%02x:00.0", 16 + device - 40);
    return 0;
}

int cuGetErrorName(int error, const char **name) {
    *name = error == 999 ? "CUDA_ERROR_UNKNOWN" : NULL;
    return 0;
}

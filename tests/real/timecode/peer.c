/* The other party in the tests of LTC: libltc, which writes what we hear and hears what we write.
 *
 *   peer write RATE_HZ FPS STANDARD HH MM SS FF FRAMES   samples, unsigned 8 bits, to the standard output
 *   peer hear RATE_HZ FPS                               floats from the standard input; a line a frame:
 *                                                        HH MM SS FF drop START REVERSE
 *
 * STANDARD is 525 (30 and 29.97), 525d (drop-frame), 625 (25) or film (24). */
#include <ltc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum LTC_TV_STANDARD standard(const char *name) {
    if (strcmp(name, "625") == 0) return LTC_TV_625_50;
    if (strcmp(name, "film") == 0) return LTC_TV_FILM_24;
    return LTC_TV_525_60;
}

static int tell(char **words) {
    double rate_hz = atof(words[0]), fps = atof(words[1]);
    int drops = strcmp(words[2], "525d") == 0;
    LTCEncoder *encoder = ltc_encoder_create(rate_hz, fps, standard(words[2]), 0);
    SMPTETimecode timecode;
    memset(&timecode, 0, sizeof timecode);
    timecode.hours = atoi(words[3]);
    timecode.mins = atoi(words[4]);
    timecode.secs = atoi(words[5]);
    timecode.frame = atoi(words[6]);
    ltc_encoder_set_timecode(encoder, &timecode);
    if (drops) {
        LTCFrame frame;
        ltc_encoder_get_frame(encoder, &frame);
        frame.dfbit = 1;
        ltc_frame_set_parity(&frame, LTC_TV_525_60);
        ltc_encoder_set_frame(encoder, &frame);
    }
    for (int left = atoi(words[7]); left > 0; left--) {
        ltcsnd_sample_t *samples;
        ltc_encoder_encode_frame(encoder);
        int count = ltc_encoder_get_bufferptr(encoder, &samples, 1);
        fwrite(samples, 1, count, stdout);
        ltc_encoder_inc_timecode(encoder);
    }
    ltc_encoder_free(encoder);
    return 0;
}

static int hear(char **words) {
    double rate_hz = atof(words[0]), fps = atof(words[1]);
    LTCDecoder *decoder = ltc_decoder_create((int)(rate_hz / fps), 64);
    float samples[1024];
    ltc_off_t place = 0;
    size_t count;
    while ((count = fread(samples, sizeof *samples, 1024, stdin)) > 0) {
        LTCFrameExt frame;
        ltc_decoder_write_float(decoder, samples, count, place);
        place += count;
        while (ltc_decoder_read(decoder, &frame)) {
            SMPTETimecode it;
            ltc_frame_to_time(&it, &frame.ltc, 0);
            printf("%d %d %d %d %d %lld %d\n", it.hours, it.mins, it.secs, it.frame,
                   frame.ltc.dfbit, frame.off_start, frame.reverse);
        }
    }
    ltc_decoder_free(decoder);
    return 0;
}

int main(int count, char **words) {
    if (count == 10 && strcmp(words[1], "write") == 0) return tell(words + 2);
    if (count == 4 && strcmp(words[1], "hear") == 0) return hear(words + 2);
    return 2;
}

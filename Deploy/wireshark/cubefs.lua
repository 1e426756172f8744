-- The protocol of CubeFS datanodes (TCP port 17310) for Wireshark and tshark 4.0 or later.
--
-- Facts are of CubeFS v3.2.1 to v3.5.3: `proto/packet.go`, `repl/packet.go`, `datanode/wrap_operator.go`.
-- Reading a capture twice (`tshark -2`, or Wireshark) fills in what only the future of a packet tells.

local cubefs = Proto("cubefs", "CubeFS datanode protocol")

-- Names ----------------------------------------------------------------------------------------------------------------------

local OPCODES = {
  [0x01] = "OpCreateExtent",
  [0x02] = "OpMarkDelete",
  [0x03] = "OpWrite",
  [0x04] = "OpRead",
  [0x05] = "OpStreamRead",
  [0x06] = "OpStreamFollowerRead",
  [0x07] = "OpGetAllWatermarks",
  [0x08] = "OpNotifyReplicasToRepair",
  [0x09] = "OpExtentRepairRead",
  [0x0A] = "OpBroadcastMinAppliedID",
  [0x0F] = "OpRandomWrite",
  [0x10] = "OpGetAppliedId",
  [0x11] = "OpGetPartitionSize",
  [0x12] = "OpSyncRandomWrite",
  [0x13] = "OpSyncWrite",
  [0x14] = "OpReadTinyDeleteRecord",
  [0x15] = "OpTinyExtentRepairRead",
  [0x16] = "OpGetMaxExtentIDAndPartitionSize",
  [0x17] = "OpSnapshotExtentRepairRead",
  [0x18] = "OpSnapshotExtentRepairRsp",
  [0x57] = "OpBatchLockNormalExtent",
  [0x58] = "OpBatchUnlockNormalExtent",
  [0x59] = "OpBackupRead",
  [0x5A] = "OpBackupWrite",
  [0x60] = "OpCreateDataPartition",
  [0x61] = "OpDeleteDataPartition",
  [0x62] = "OpLoadDataPartition",
  [0x63] = "OpDataNodeHeartbeat",
  [0x64] = "OpReplicateFile",
  [0x65] = "OpDeleteFile",
  [0x66] = "OpDecommissionDataPartition",
  [0x67] = "OpAddDataPartitionRaftMember",
  [0x68] = "OpRemoveDataPartitionRaftMember",
  [0x69] = "OpDataPartitionTryToLeader",
  [0x6A] = "OpQos",
  [0x6B] = "OpStopDataPartitionRepair",
  [0x6C] = "OpRecoverDataReplicaMeta",
  [0x6D] = "OpRecoverBackupDataReplica",
  [0x6E] = "OpRecoverBadDisk",
  [0x6F] = "OpQueryBadDiskRecoverProgress",
  [0x75] = "OpBatchDeleteExtent",
  [0x76] = "OpGcBatchDeleteExtent",
  [0x80] = "OpDeleteBackupDirectories",
  [0x8A] = "OpDeleteLostDisk",
  [0x8B] = "OpReloadDisk",
  [0x8C] = "OpSetRepairingStatus",
  [0xB1] = "OpRandomWriteAppend",
  [0xB2] = "OpSyncRandomWriteAppend",
  [0xB3] = "OpRandomWriteVer",
  [0xB4] = "OpSyncRandomWriteVer",
  [0xB5] = "OpSyncRandomWriteVerRsp",
  [0xB6] = "OpTryWriteAppend",
  [0xB7] = "OpSyncTryWriteAppend",
  [0xB8] = "OpVersionOp",
  [0xD5] = "OpVersionOperation",
  [0xD6] = "OpSplitMarkDelete",
  [0xD7] = "OpTryOtherExtent",
  [0xF0] = "OpOk", -- the blocks of OpReadTinyDeleteRecord
  [0xFF] = "OpPing",
}

-- Where CubeFS gives one byte several names, the datanode's.
local RESULTS = {
  [0x00] = "OpInitResultCode", -- a request
  [0x82] = "OpMismatchStorageClass",
  [0x83] = "OpMetaRenewalForbiddenMigration",
  [0x86] = "OpLeaseOccupiedByOthers",
  [0x87] = "OpLeaseGenerationNotMatch",
  [0x88] = "OpWriteOpOfProtoVerForbidden",
  [0xB1] = "OpLimitedIoErr",
  [0xB2] = "OpStoreClosed",
  [0xB3] = "OpReachMaxExtentsErr",
  [0xB4] = "OpTinyRecoverErr",
  [0xB5] = "OpDpDecommissionRepairErr",
  [0xB6] = "OpDpRepairErr",
  [0xD7] = "OpTryOtherExtent",
  [0xEE] = "OpNoSpaceErr",
  [0xEF] = "OpReadRepairExtentAgain",
  [0xF0] = "OpOk",
  [0xF1] = "OpDirQuota",
  [0xF2] = "OpConflictExtentsErr",
  [0xF3] = "OpIntraGroupNetErr",
  [0xF4] = "OpArgMismatchErr",
  [0xF5] = "OpNotExistErr",
  [0xF6] = "OpDiskNoSpaceErr",
  [0xF7] = "OpDiskErr",
  [0xF8] = "OpErr",
  [0xF9] = "OpAgain",
  [0xFA] = "OpExistErr",
  [0xFB] = "OpInodeFullErr",
  [0xFC] = "OpTryOtherAddr",
  [0xFD] = "OpNotPerm",
  [0xFE] = "OpNotEmpty",
}

local REQUEST, OK = 0x00, 0xF0

local function set(...)
  local members = {}
  for _, opcode in ipairs({ ... }) do members[opcode] = true end
  return members
end

-- Names without their "Op".
local function opcode_name(opcode) return OPCODES[opcode] and OPCODES[opcode]:sub(3) or string.format("opcode 0x%02X", opcode) end
local function result_name(result) return RESULTS[result] and RESULTS[result]:sub(3) or string.format("result 0x%02X", result) end

-- What each operation is like ------------------------------------------------------------------------------------------------

-- Requests whose Size is the length asked for: no payload follows.
local READS = set(0x04, 0x05, 0x06, 0x09, 0x14, 0x15, 0x17, 0x59)
-- Answered by blocks until as many bytes have come as were asked for.
local COUNTED = set(0x05, 0x06, 0x09, 0x59)
-- A caller may send the next before the last is answered: replication to followers, deletions, writes of clients.
local PIPELINED = set(
  0x01, 0x02, 0x03, 0x0F, 0x12, 0x13, 0x57, 0x58, 0x5A, 0x75, 0x76, 0xB1, 0xB2, 0xB3, 0xB4, 0xB5, 0xB6, 0xB7, 0xD6)
-- The payload of these requests is what the CRC is of. Replies to them echo the CRC and have no payload.
local WRITES = set(0x03, 0x0F, 0x12, 0x13, 0x5A, 0xB1, 0xB2, 0xB3, 0xB4, 0xB6, 0xB7)
-- The payload of these OK replies is what the CRC is of.
local BLOCKS = set(0x05, 0x06, 0x09, 0x15, 0x18, 0x59, 0xF0)
-- Blocks with an Arg of 17 bytes that tells data from holes.
local HOLED = set(0x15, 0x18)
-- A reply's opcode, where it may be another than the request's.
local OTHER_OPCODES = { [0x14] = set(0xF0), [0x17] = set(0x18), [0xB3] = set(0xB5), [0xB4] = set(0xB5), [0xB6] = set(0xD7) }
-- Replies that bear the PartitionID of their JSON.
local OTHER_PARTITION = set(0x60, 0x66, 0x67, 0x68)

local function is_admin(opcode)
  return (opcode >= 0x60 and opcode <= 0x6F) or opcode == 0x80 or (opcode >= 0x8A and opcode <= 0x8C) or opcode == 0xD5
end

-- Where the payload is JSON, if it is anything.
local function is_json(opcode)
  return is_admin(opcode) or opcode == 0x02 or opcode == 0x07 or opcode == 0x08 or opcode == 0x57 or opcode == 0x58 or opcode == 0x75
    or opcode == 0x76 or opcode == 0xD6
end

local KIB, MIB = 1024, 1024 * 1024
local LARGEST_ARGUMENT = 64 * KIB
-- CubeFS's own reader computes the list's length in 16 bits.
local MOST_VERSIONS = 3855

-- The largest payload that is taken for one; beyond it the bytes are no packet. Several times what CubeFS sends.
local function largest_payload(opcode, result)
  if result ~= REQUEST and result ~= OK then return MIB end
  if COUNTED[opcode] then return 8 * MIB end
  if opcode == 0x15 or opcode == 0x17 or opcode == 0x18 then return MIB end
  if opcode == 0x14 or opcode == 0xF0 then return 4 * MIB end
  if opcode == 0x0A or opcode == 0x10 or opcode == 0x11 or opcode == 0x16 then return 4 * KIB end
  if WRITES[opcode] and opcode ~= 0x5A then return 16 * MIB end
  if is_json(opcode) then return 64 * MIB end
  return 160 * MIB
end

-- Fields ---------------------------------------------------------------------------------------------------------------------

local CRC_STATUS = { [0] = "Bad", [1] = "Good", [2] = "Unverified" }

local f = {
  magic = ProtoField.uint8("cubefs.magic", "Magic", base.HEX),
  extent_type = ProtoField.uint8("cubefs.extent_type", "ExtentType", base.HEX),
  extent_normal = ProtoField.bool("cubefs.extent_type.normal", "Normal extent", 8, { "normal", "tiny" }, 0x01),
  flag_protocol = ProtoField.bool("cubefs.extent_type.protocol_version", "VerSeq and ProtoVersion follow", 8, { "yes", "no" }, 0x10),
  flag_list = ProtoField.bool("cubefs.extent_type.version_list", "Version list follows", 8, { "yes", "no" }, 0x40),
  flag_multi = ProtoField.bool("cubefs.extent_type.multi_version", "VerSeq follows", 8, { "yes", "no" }, 0x80),
  opcode = ProtoField.uint8("cubefs.opcode", "Opcode", base.HEX, OPCODES),
  result = ProtoField.uint8("cubefs.result", "ResultCode", base.HEX, RESULTS),
  remaining_followers = ProtoField.uint8("cubefs.remaining_followers", "RemainingFollowers", base.DEC),
  crc = ProtoField.uint32("cubefs.crc", "CRC", base.HEX),
  crc_status = ProtoField.uint8("cubefs.crc.status", "CRC status", base.DEC, CRC_STATUS),
  crc_computed = ProtoField.uint32("cubefs.crc.computed", "CRC of the payload", base.HEX),
  size = ProtoField.uint32("cubefs.size", "Size", base.DEC),
  arg_len = ProtoField.uint32("cubefs.arg_len", "ArgLen", base.DEC),
  partition_id = ProtoField.uint64("cubefs.partition_id", "PartitionID", base.DEC),
  extent_id = ProtoField.uint64("cubefs.extent_id", "ExtentID", base.DEC),
  extent_offset = ProtoField.int64("cubefs.extent_offset", "ExtentOffset", base.DEC),
  req_id = ProtoField.int64("cubefs.req_id", "ReqID", base.DEC),
  kernel_offset = ProtoField.uint64("cubefs.kernel_offset", "KernelOffset", base.DEC),
  ver_seq = ProtoField.uint64("cubefs.ver_seq", "VerSeq", base.DEC),
  proto_version = ProtoField.uint32("cubefs.proto_version", "ProtoVersion", base.DEC),
  version_count = ProtoField.uint16("cubefs.version_count", "Versions", base.DEC),
  version = ProtoField.none("cubefs.version", "Version"),
  version_ver = ProtoField.uint64("cubefs.version.ver", "Ver", base.DEC),
  version_del_time = ProtoField.int64("cubefs.version.del_time", "DelTime", base.DEC),
  version_status = ProtoField.uint8("cubefs.version.status", "Status", base.DEC),
  arg = ProtoField.bytes("cubefs.arg", "Arg"),
  followers = ProtoField.string("cubefs.followers", "Followers"),
  hole = ProtoField.bool("cubefs.hole", "Hole"),
  hole_length = ProtoField.uint64("cubefs.hole.length", "Length of the hole", base.DEC),
  available = ProtoField.uint64("cubefs.available", "Available from the offset asked for", base.DEC),
  payload = ProtoField.bytes("cubefs.payload", "Payload"),
  text = ProtoField.string("cubefs.text", "Text"),
  applied_id = ProtoField.uint64("cubefs.applied_id", "Applied id", base.DEC),
  partition_size = ProtoField.uint64("cubefs.partition_size", "Partition size", base.DEC),
  max_extent_id = ProtoField.uint64("cubefs.max_extent_id", "Largest ExtentID", base.DEC),
  request = ProtoField.bool("cubefs.request", "Request"),
  reply = ProtoField.bool("cubefs.reply", "Reply"),
  operation = ProtoField.uint32("cubefs.operation", "Operation", base.DEC),
  reply_in = ProtoField.framenum("cubefs.reply_in", "First reply in frame", base.NONE, frametype.RESPONSE),
  last_reply_in = ProtoField.framenum("cubefs.last_reply_in", "Last reply in frame", base.NONE, frametype.RESPONSE),
  replies = ProtoField.uint32("cubefs.replies", "Replies", base.DEC),
  abandoned_in = ProtoField.framenum("cubefs.abandoned_in", "Abandoned by the request in frame"),
  request_in = ProtoField.framenum("cubefs.request_in", "Request in frame", base.NONE, frametype.REQUEST),
  number = ProtoField.uint32("cubefs.reply.number", "Number of this reply", base.DEC),
  time = ProtoField.relative_time("cubefs.time", "Time since the request"),
  undissected = ProtoField.bytes("cubefs.undissected", "Bytes of no packet"),
}
for _, field in pairs(f) do cubefs.fields[#cubefs.fields + 1] = field end

local x = {
  unasked = ProtoExpert.new("cubefs.reply.unasked", "ReqID was never asked", expert.group.SEQUENCE, expert.severity.ERROR),
  stale = ProtoExpert.new("cubefs.reply.stale", "Reply to an older operation", expert.group.SEQUENCE, expert.severity.ERROR),
  surplus = ProtoExpert.new("cubefs.reply.surplus", "More replies than are due", expert.group.SEQUENCE, expert.severity.WARN),
  mismatch = ProtoExpert.new("cubefs.reply.mismatch", "Not like the request", expert.group.SEQUENCE, expert.severity.WARN),
  early = ProtoExpert.new("cubefs.before_capture", "Begins before the capture", expert.group.SEQUENCE, expert.severity.NOTE),
  failed = ProtoExpert.new("cubefs.reply.error", "Error reply", expert.group.RESPONSE_CODE, expert.severity.WARN),
  abandons = ProtoExpert.new("cubefs.request.abandons", "Replies are still due", expert.group.SEQUENCE, expert.severity.WARN),
  doomed = ProtoExpert.new("cubefs.request.doomed", "Request after an error reply", expert.group.SEQUENCE, expert.severity.NOTE),
  crc = ProtoExpert.new("cubefs.crc.bad", "Payload CRC is wrong", expert.group.CHECKSUM, expert.severity.ERROR),
  undissected = ProtoExpert.new("cubefs.no_packet", "Bytes of no packet", expert.group.MALFORMED, expert.severity.ERROR),
  cut = ProtoExpert.new("cubefs.cut", "Not all of the packet was captured", expert.group.UNDECODED, expert.severity.NOTE),
}
for _, info in pairs(x) do cubefs.experts[#cubefs.experts + 1] = info end

local AUTO, V3_3_0, V3_4_0, V3_5_3 = 0, 1, 2, 3
cubefs.prefs.ports = Pref.range("TCP ports", "17310", "Ports on which datanodes listen", 65535)
cubefs.prefs.release = Pref.enum(
  "CubeFS release", AUTO, "Whose rules tell how long a header is: the flags of each packet, or those that a release knows",
  { { 1, "auto", AUTO }, { 2, "3.3.0", V3_3_0 }, { 3, "3.4.0", V3_4_0 }, { 4, "3.5.3", V3_5_3 } }, false)
cubefs.prefs.check_crc = Pref.bool("Check the CRC of payloads", true, "Costs about 50 ms for each MB")

-- CRC-32 (IEEE 802.3) --------------------------------------------------------------------------------------------------------

local band, bxor, rshift = bit.band, bit.bxor, bit.rshift

-- CRC_TABLES[k][b]: what byte b does to the sum when k bytes follow it.
local CRC_TABLES = { [0] = {} }
for byte = 0, 255 do
  local sum = byte
  for _ = 1, 8 do sum = band(sum, 1) == 1 and bxor(rshift(sum, 1), 0xEDB88320) or rshift(sum, 1) end
  CRC_TABLES[0][byte] = sum
end
for k = 1, 15 do
  CRC_TABLES[k] = {}
  for byte = 0, 255 do
    local before = CRC_TABLES[k - 1][byte]
    CRC_TABLES[k][byte] = bxor(rshift(before, 8), CRC_TABLES[0][band(before, 255)])
  end
end

-- Sixteen bytes a turn; the sum is linear, so that one call of `bxor` is enough. Calls are what costs here.
local function crc32(bytes)
  local t0, t1, t2, t3 = CRC_TABLES[0], CRC_TABLES[1], CRC_TABLES[2], CRC_TABLES[3]
  local t4, t5, t6, t7 = CRC_TABLES[4], CRC_TABLES[5], CRC_TABLES[6], CRC_TABLES[7]
  local t8, t9, t10, t11 = CRC_TABLES[8], CRC_TABLES[9], CRC_TABLES[10], CRC_TABLES[11]
  local t12, t13, t14, t15 = CRC_TABLES[12], CRC_TABLES[13], CRC_TABLES[14], CRC_TABLES[15]
  local sum, length = -1, #bytes
  local whole = length - length % 16
  for i = 1, whole, 16 do
    local b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15 = bytes:byte(i, i + 15)
    local s0 = sum % 256
    local s1 = (sum - s0) / 256 % 256
    local s2 = (sum - s0 - s1 * 256) / 65536 % 256
    local s3 = (sum - s0 - s1 * 256 - s2 * 65536) / 16777216 % 256
    sum = bxor(
      t15[s0], t14[s1], t13[s2], t12[s3], t15[b0], t14[b1], t13[b2], t12[b3], t11[b4], t10[b5], t9[b6], t8[b7], t7[b8], t6[b9], t5[b10],
      t4[b11], t3[b12], t2[b13], t1[b14], t0[b15])
  end
  for i = whole + 1, length do sum = bxor(rshift(sum, 8), t0[bxor(band(sum, 255), bytes:byte(i))]) end
  return bxor(sum, -1) % 4294967296
end

-- A packet's measures --------------------------------------------------------------------------------------------------------

local FIXED, VERSION_ENTRY = 57, 17

-- Measures the packet at an offset. Returns nil and the reason where none can be; a packet with no `length` where the capture
-- does not hold enough of its header.
local function measure(tvb, offset)
  local captured = tvb:len() - offset
  if tvb(offset, 1):uint() ~= 0xFF then return nil, string.format("magic is 0x%02X, not 0xFF", tvb(offset, 1):uint()) end
  local p = { offset = offset, captured = captured }
  if captured < FIXED then return p end
  p.extent_type = tvb(offset + 1, 1):uint()
  p.opcode = tvb(offset + 2, 1):uint()
  p.result = tvb(offset + 3, 1):uint()
  p.crc = tvb(offset + 5, 4):uint()
  p.size = tvb(offset + 9, 4):uint()
  p.arg_len = tvb(offset + 13, 4):uint()
  p.partition_id = tostring(tvb(offset + 17, 8):uint64())
  p.extent_id = tostring(tvb(offset + 25, 8):uint64())
  p.extent_offset = tostring(tvb(offset + 33, 8):int64())
  p.req_id = tostring(tvb(offset + 41, 8):int64())

  local release = cubefs.prefs.release
  local reads = READS[p.opcode] and not (p.opcode == 0x17 and release == V3_3_0) and not (p.opcode == 0x59 and release == V3_4_0)
  p.payload_len = p.result == REQUEST and reads and 0 or p.size
  if p.arg_len > LARGEST_ARGUMENT then return nil, "ArgLen is " .. p.arg_len end
  if p.payload_len > largest_payload(p.opcode, p.result) then return nil, "Size is " .. p.size end

  local position = FIXED
  if band(p.extent_type, 0x10) ~= 0 and (release == AUTO or release == V3_5_3) then
    p.ver_seq, p.proto_version, position = position, position + 8, position + 12
  elseif band(p.extent_type, 0x80) ~= 0 and release ~= V3_3_0 then
    p.ver_seq, position = position, position + 8
  end
  if band(p.extent_type, 0x40) ~= 0 and release ~= V3_3_0 then
    if captured < position + 2 then return p end
    p.versions, p.version_count = position, tvb(offset + position, 2):uint()
    if p.version_count > MOST_VERSIONS then return nil, "the version list has " .. p.version_count .. " entries" end
    position = position + 2 + p.version_count * VERSION_ENTRY
  end
  p.arg = position
  p.payload = position + p.arg_len
  p.length = p.payload + p.payload_len
  return p
end

-- The packet at an offset, if all of its header says that it is one. For bytes of which nothing is known.
local function plausible(tvb, offset)
  if tvb:len() - offset < FIXED then return nil end
  local p = measure(tvb, offset)
  return p and p.length and OPCODES[p.opcode] and RESULTS[p.result] and band(p.extent_type, 0x2E) == 0 and p
end

-- The offset of the next packet at or after one of no packet.
local function next_packet(tvb, offset)
  local bytes = tvb:raw(offset, tvb:len() - offset)
  local found = 0
  while true do
    found = bytes:find("\255", found + 1, true)
    if not found or #bytes - found + 1 < FIXED then return nil end
    if plausible(tvb, offset + found - 1) then return offset + found - 1 end
  end
end

-- What belongs together ------------------------------------------------------------------------------------------------------

local tcp_stream, tcp_seq = Field.new("tcp.stream"), Field.new("tcp.seq")
-- The flight recorder keeps the last packets only, and says where there were others.
local frame_comment, GAP = Field.new("frame.comment"), "earlier packets of this connection are not kept"
local tcp_lost, tcp_ack_lost = Field.new("tcp.analysis.lost_segment"), Field.new("tcp.analysis.ack_lost_segment")

-- streams[tcp.stream]: what is known of a connection; frames[number]: what the first reading found out of each packet.
local streams, frames, operations

function cubefs.init() streams, frames, operations = {}, {}, 0 end

local function innermost(field)
  local all = { field() }
  return #all > 0 and all[#all].value or nil
end

local function stream_of()
  local number = innermost(tcp_stream) or -1
  local stream = streams[number]
  if not stream then
    stream = { asked = {}, open = {}, open_pipelined = {}, latest_lock_step = 0, expected = {} }
    streams[number] = stream
  end
  return stream
end

-- Whether replies are still to come, as far as the capture tells.
local function is_due(op)
  if op.done or op.opcode == 0x04 or op.opcode == 0x14 then return false end
  -- At or past the end of an extent there is none.
  if op.opcode == 0x15 then return op.replies > 0 end
  return true
end

local function close(stream, op)
  op.done = true
  stream.open[op], stream.open_pipelined[op] = nil, nil
end

-- A new request leaves behind what was open, unless both may be under way at once.
local function leave_behind(stream, ops, op, record)
  for older in pairs(ops) do
    if is_due(older) and not stream.lossy_from then
      older.abandoned_by = op.frame
      record.abandons = record.abandons or {}
      table.insert(record.abandons, older)
    end
    ops[older] = nil
  end
end

local function observe_request(stream, p, record, frame, time)
  operations = operations + 1
  local op = {
    id = operations, frame = frame, time = time, opcode = p.opcode, req_id = p.req_id, size = p.size, partition_id = p.partition_id,
    extent_id = p.extent_id, pipelined = PIPELINED[p.opcode], bytes = 0, replies = 0,
  }
  record.op = op
  record.doomed_by = stream.doomed_by
  leave_behind(stream, stream.open, op, record)
  if not op.pipelined then
    leave_behind(stream, stream.open_pipelined, op, record)
    stream.latest_lock_step = op.id
  end
  if record.abandons then table.sort(record.abandons, function(a, b) return a.id < b.id end) end
  stream.newest = op
  local queue = stream.asked[p.req_id] or {}
  -- One that is answered gives way to one of the same ReqID.
  while queue[1] and queue[1].done do table.remove(queue, 1) end
  table.insert(queue, op)
  stream.asked[p.req_id] = queue
  if COUNTED[p.opcode] and p.size == 0 then
    op.done = true
  elseif op.pipelined then
    stream.open_pipelined[op] = true
  else
    stream.open[op] = true
  end
end

-- The operation that a reply belongs to: the oldest of its ReqID that is not answered.
local function asked_of(stream, req_id)
  local queue = stream.asked[req_id] or {}
  for _, op in ipairs(queue) do
    if not op.done then return op end
  end
  return queue[#queue]
end

local function describe_mismatch(op, p)
  local others = OTHER_OPCODES[op.opcode]
  if p.opcode ~= op.opcode and not (others and others[p.opcode]) then return "the request is " .. opcode_name(op.opcode) end
  if p.partition_id ~= op.partition_id and not OTHER_PARTITION[op.opcode] then return "the request is of partition " .. op.partition_id end
  if p.extent_id ~= op.extent_id and READS[op.opcode] and op.opcode ~= 0x14 then return "the request is of extent " .. op.extent_id end
end

-- Counts a reply, and closes the operation with its last one.
local function count(stream, op, p, frame)
  op.replies = op.replies + 1
  op.first_reply = op.first_reply or frame
  op.last_reply = frame
  if p.result ~= OK then
    close(stream, op)
    stream.doomed_by = stream.doomed_by or frame
  elseif COUNTED[op.opcode] then
    op.bytes = op.bytes + p.size
    if op.bytes >= op.size then close(stream, op) end
  elseif op.opcode == 0x15 then
    op.bytes = op.bytes + (p.hole_length or p.size)
    if op.bytes >= math.min(op.size, p.available or op.size) then close(stream, op) end
  elseif op.opcode == 0x17 then
    if p.opcode == 0x17 then close(stream, op) end
  elseif op.opcode ~= 0x14 then
    close(stream, op)
  end
end

local function observe_reply(stream, p, record, frame, time)
  local op = asked_of(stream, p.req_id)
  if not op then
    local newest = stream.newest
    if newest and not stream.lossy_from then record.unasked = true else record.early = true end
    -- Who reads it: the operation that waits, or else the next.
    record.reader = newest and not newest.done and newest or nil
    return
  end
  record.op = op
  record.time = time - op.time
  record.surplus = op.done
  record.mismatch = describe_mismatch(op, p)
  local newest = stream.newest
  if newest ~= op and not (op.pipelined and stream.latest_lock_step < op.id) then record.stale = newest end
  count(stream, op, p, frame)
  record.number = op.replies
end

-- What is known of the packet, which is the n-th that this frame completes.
local function record_of(stream, p, pinfo)
  -- This table lives for one dissection of one frame.
  local n = tonumber(pinfo.private["cubefs"] or 0) + 1
  pinfo.private["cubefs"] = tostring(n)
  p.ordinal = n
  local records = frames[pinfo.number] or {}
  frames[pinfo.number] = records
  if not records[n] and not pinfo.visited then
    local record = {}
    records[n] = record
    stream.first_frame = stream.first_frame or pinfo.number
    local observe = p.result == REQUEST and observe_request or observe_reply
    observe(stream, p, record, pinfo.number, pinfo.rel_ts)
  end
  return records[n] or {}
end

-- The tree -------------------------------------------------------------------------------------------------------------------

local function size_text(bytes)
  if bytes >= MIB and bytes % MIB == 0 then return bytes / MIB .. " MiB" end
  if bytes >= KIB and bytes % KIB == 0 then return bytes / KIB .. " KiB" end
  return bytes .. " B"
end

-- The part of a packet that was captured; nil where none of it was, or it is empty.
local function part(tvb, p, position, length)
  length = math.min(length, p.captured - position)
  return length > 0 and tvb(p.offset + position, length) or nil
end

local function show_header(tree, tvb, p)
  local function at(position, length) return tvb(p.offset + position, length) end
  tree:add(f.magic, at(0, 1))
  local flags = tree:add(f.extent_type, at(1, 1))
  flags:add(f.flag_multi, at(1, 1))
  flags:add(f.flag_list, at(1, 1))
  flags:add(f.flag_protocol, at(1, 1))
  flags:add(f.extent_normal, at(1, 1))
  tree:add(f.opcode, at(2, 1))
  p.result_item = tree:add(f.result, at(3, 1))
  tree:add(f.remaining_followers, at(4, 1))
  p.crc_item = tree:add(f.crc, at(5, 4))
  tree:add(f.size, at(9, 4))
  tree:add(f.arg_len, at(13, 4))
  tree:add(f.partition_id, at(17, 8))
  tree:add(f.extent_id, at(25, 8))
  tree:add(f.extent_offset, at(33, 8))
  p.req_id_item = tree:add(f.req_id, at(41, 8))
  tree:add(f.kernel_offset, at(49, 8))
end

local function show_extensions(tree, tvb, p)
  if p.ver_seq and p.captured >= p.ver_seq + 8 then tree:add(f.ver_seq, tvb(p.offset + p.ver_seq, 8)) end
  if p.proto_version and p.captured >= p.proto_version + 4 then tree:add(f.proto_version, tvb(p.offset + p.proto_version, 4)) end
  if not p.versions then return end
  tree:add(f.version_count, tvb(p.offset + p.versions, 2))
  for i = 0, p.version_count - 1 do
    local position = p.versions + 2 + i * VERSION_ENTRY
    if p.captured < position + VERSION_ENTRY then return end
    local version = tree:add(f.version, tvb(p.offset + position, VERSION_ENTRY))
    version:add(f.version_ver, tvb(p.offset + position, 8))
    version:add(f.version_del_time, tvb(p.offset + position + 8, 8))
    version:add(f.version_status, tvb(p.offset + position + 16, 1))
    version:append_text(" " .. tostring(tvb(p.offset + position, 8):uint64()))
  end
end

-- Reads the Arg of a block that may be a hole.
local function measure_hole(tvb, p)
  if p.result ~= OK or p.arg_len ~= 17 or not HOLED[p.opcode] or p.captured < p.arg + 17 then return end
  p.holed = true
  if tvb(p.offset + p.arg, 1):uint() == 0x45 then p.hole_length = tvb(p.offset + p.arg + 1, 8):uint64():tonumber() end
  p.available = tvb(p.offset + p.arg + 9, 8):uint64():tonumber()
end

local function show_argument(tree, tvb, p)
  local range = part(tvb, p, p.arg, p.arg_len)
  if not range then return end
  local item = tree:add(f.arg, range)
  if p.holed then
    item:add(f.hole, range(0, 1), p.hole_length ~= nil)
    if p.hole_length then item:add(f.hole_length, range(1, 8)) end
    item:add(f.available, range(9, 8))
  elseif range:raw():find("^[%w.:/-]+$") then
    item:add_packet_field(f.followers, range, ENC_UTF_8 + ENC_NA)
  end
end

-- Bodies of fixed form.
local function show_numbers(item, range, p)
  local length = range:len()
  if p.opcode == 0x0A and p.result == REQUEST and length == 8 then
    item:add(f.applied_id, range)
  elseif p.result ~= OK then
    return
  elseif p.opcode == 0x10 and length == 8 then
    item:add(f.applied_id, range)
  elseif p.opcode == 0x11 and (length == 8 or length == 16) then
    item:add(f.partition_size, range(0, 8))
  elseif p.opcode == 0x16 and length == 16 then
    item:add(f.max_extent_id, range(0, 8))
    item:add(f.partition_size, range(8, 8))
  end
end

local function show_payload(tree, tvb, p)
  local range = part(tvb, p, p.payload, p.payload_len)
  if not range then return end
  local item = tree:add(f.payload, range)
  local first = range(0, 1):uint()
  local failed = p.result ~= REQUEST and p.result ~= OK
  if failed or (is_json(p.opcode) and (first == 0x7B or first == 0x5B)) then
    item:add_packet_field(f.text, range, ENC_UTF_8 + ENC_NA)
    if failed then p.text = range(0, math.min(range:len(), 200)):raw():gsub("[^\32-\126]", "?") end
  else
    show_numbers(item, range, p)
  end
end

-- A wrong CRC is kept with the record: it costs more than all the rest.
local function show_crc(tree, tvb, p, record)
  local is_of_payload = p.payload_len > 0 and ((p.result == REQUEST and WRITES[p.opcode]) or (p.result == OK and BLOCKS[p.opcode]))
  if not is_of_payload then return end
  local status = 2
  if cubefs.prefs.check_crc and p.captured >= p.length then
    record.crc = record.crc or crc32(tvb:raw(p.offset + p.payload, p.payload_len))
    status = record.crc == p.crc and 1 or 0
  end
  p.crc_item:append_text(" [" .. CRC_STATUS[status]:lower() .. "]")
  tree:add(f.crc_status, tvb(p.offset + 5, 4), status):set_generated()
  if status == 0 then
    tree:add(f.crc_computed, tvb(p.offset + 5, 4), record.crc):set_generated()
    p.crc_item:add_proto_expert_info(x.crc, string.format("the payload's CRC is 0x%08x, the header says 0x%08x", record.crc, p.crc))
    p.marks[#p.marks + 1] = "bad CRC"
  end
end

local function name_of(op) return string.format("%s, ReqID %s (frame %d)", opcode_name(op.opcode), op.req_id, op.frame) end

local function show_request(tree, p, record)
  tree:add(f.request, true):set_generated()
  local op = record.op
  if not op then return end
  tree:add(f.operation, op.id):set_generated()
  if op.first_reply then
    tree:add(f.reply_in, op.first_reply):set_generated()
    if op.last_reply ~= op.first_reply then tree:add(f.last_reply_in, op.last_reply):set_generated() end
    tree:add(f.replies, op.replies):set_generated()
  end
  if op.abandoned_by then tree:add(f.abandoned_in, op.abandoned_by):set_generated() end
  if record.abandons then
    local names = {}
    for i = 1, math.min(#record.abandons, 5) do names[i] = name_of(record.abandons[i]) end
    if #record.abandons > #names then names[#names + 1] = (#record.abandons - #names) .. " more" end
    p.req_id_item:add_proto_expert_info(
      x.abandons, "the older operation was abandoned, its replies are still due: " .. table.concat(names, "; "))
    p.marks[#p.marks + 1] = "abandons an older operation"
  end
  if record.doomed_by then
    p.req_id_item:add_proto_expert_info(
      x.doomed, "after an error reply (frame " .. record.doomed_by .. ") a datanode swallows one packet and closes")
  end
end

local function show_reply(tree, p, record)
  tree:add(f.reply, true):set_generated()
  if p.result ~= OK then
    p.result_item:add_proto_expert_info(x.failed, result_name(p.result) .. (p.text and ": " .. p.text or ""))
  end
  local function wrong(info, text, mark)
    p.req_id_item:add_proto_expert_info(info, text)
    if mark then p.marks[#p.marks + 1] = mark end
  end
  if record.unasked then
    wrong(
      x.unasked, "no request on this connection had ReqID " .. p.req_id .. "; the caller reads this as the reply to "
        .. (record.reader and name_of(record.reader) or "its next request"), "ReqID never asked")
  elseif record.early then
    wrong(x.early, "its request was not captured")
  end
  local op = record.op
  if not op then return end
  tree:add(f.operation, op.id):set_generated()
  tree:add(f.request_in, op.frame):set_generated()
  tree:add(f.number, record.number):set_generated()
  local seconds = math.floor(record.time)
  tree:add(f.time, NSTime(seconds, math.floor((record.time - seconds) * 1e9 + 0.5))):set_generated()
  if record.stale then
    wrong(
      x.stale, "belongs to " .. name_of(op) .. "; the caller has gone on to " .. name_of(record.stale) .. " and reads this as its reply",
      "stale")
  end
  if record.surplus then wrong(x.surplus, name_of(op) .. " had all its replies before this", "surplus") end
  if record.mismatch then wrong(x.mismatch, record.mismatch, "mismatch") end
end

local function describe(p, record)
  -- The blocks of OpReadTinyDeleteRecord do not say what they are.
  local opcode = p.opcode == 0xF0 and record.op and record.op.opcode or p.opcode
  local words = { opcode_name(opcode) }
  if p.result == REQUEST then
    words[#words + 1] = "request"
  else
    words[#words + 1] = "reply " .. result_name(p.result)
  end
  words[#words + 1] = "partition " .. p.partition_id
  if p.extent_id ~= "0" then words[#words + 1] = "extent " .. p.extent_id .. " offset " .. p.extent_offset end
  if p.hole_length then words[#words + 1] = "hole " .. size_text(p.hole_length) end
  if p.size > 0 and not p.text then words[#words + 1] = "size " .. size_text(p.size) end
  words[#words + 1] = "ReqID " .. p.req_id
  for _, mark in ipairs(p.marks) do words[#words + 1] = "[" .. mark .. "]" end
  if p.text then words[#words + 1] = p.text end
  return table.concat(words, " ")
end

local function show_info(pinfo, text)
  pinfo.cols.protocol = "CubeFS"
  if pinfo.private["cubefs.info"] then
    pinfo.cols.info:append(" | " .. text)
  else
    pinfo.cols.info:set(text)
    pinfo.private["cubefs.info"] = "set"
  end
  pinfo.cols.info:fence()
end

local function show_packet(tvb, p, pinfo, tree, stream)
  p.marks = {}
  measure_hole(tvb, p)
  local record = record_of(stream, p, pinfo)
  local subtree = tree:add(cubefs, tvb(p.offset, math.min(p.length, p.captured)))
  show_header(subtree, tvb, p)
  show_extensions(subtree, tvb, p)
  show_argument(subtree, tvb, p)
  show_payload(subtree, tvb, p)
  show_crc(subtree, tvb, p, record)
  local show = p.result == REQUEST and show_request or show_reply
  show(subtree, p, record)
  if p.captured < p.length then
    subtree:add_proto_expert_info(x.cut, string.format("%d of %d bytes of this packet are here", p.captured, p.length))
  end
  local text = describe(p, record)
  subtree:append_text(", " .. text)
  show_info(pinfo, text)
end

local function show_undissected(tvb, offset, length, reason, is_known, stream, pinfo, tree)
  local range = tvb(offset, length)
  local subtree = tree:add(cubefs, range)
  local item = subtree:add(f.undissected, range)
  if not is_known then
    item:add_proto_expert_info(x.early, "the rest of a packet that begins before the capture")
  elseif stream.lossy_from and stream.lossy_from <= pinfo.number then
    item:add_proto_expert_info(x.cut, "of a packet whose header was not captured")
  else
    item:add_proto_expert_info(x.undissected, length .. " bytes of no packet: " .. reason)
  end
  subtree:append_text(", bytes of no packet")
  show_info(pinfo, length .. " bytes of no packet")
end

-- The stream -----------------------------------------------------------------------------------------------------------------

-- Where segments cannot be joined (captured in part, or TCP reassembly is off) a packet's rest is found by sequence number.
local function direction_of(pinfo) return tostring(pinfo.src) .. " " .. pinfo.src_port end

-- Not all of the connection was captured: replies are uncounted, and requests may be missing.
local function lose(pinfo, stream)
  if not pinfo.visited then stream.lossy_from = stream.lossy_from or pinfo.number end
end

-- Takes note of where the next packet begins, from the segment's first byte.
local function expect(position, tvb, pinfo, stream)
  if pinfo.can_desegment > 0 or pinfo.visited then return end
  -- What follows a header that was not captured whole is unknown.
  if position < tvb:reported_len() and tvb:len() - position < FIXED then lose(pinfo, stream) end
  local sequence = innermost(tcp_seq)
  if sequence then stream.expected[direction_of(pinfo)] = (sequence + position) % 4294967296 end
end

-- How many of the segment's first bytes belong to a packet of an earlier one.
local function rest_of_packet(tvb, pinfo, stream)
  -- Of a frame only the first bytes that we see can be a rest.
  if pinfo.private["cubefs.rest"] then return 0 end
  pinfo.private["cubefs.rest"] = "seen"
  local records = frames[pinfo.number] or {}
  frames[pinfo.number] = records
  if not pinfo.visited then
    local expected, sequence = stream.expected[direction_of(pinfo)], innermost(tcp_seq)
    local rest = expected and sequence and (expected - sequence) % 4294967296 or 0
    records.rest = rest < 2147483648 and rest or 0
    if records.rest > 0 then expect(records.rest, tvb, pinfo, stream) end
  end
  return records.rest or 0
end

function cubefs.dissector(tvb, pinfo, tree)
  local length = tvb:len()
  local stream = stream_of()
  if tcp_lost() or tcp_ack_lost() then lose(pinfo, stream) end
  for _, comment in ipairs({ frame_comment() }) do
    if tostring(comment.value):find(GAP, 1, true) then lose(pinfo, stream) end
  end
  local offset = rest_of_packet(tvb, pinfo, stream)
  if offset > 0 then
    pinfo.cols.protocol = "CubeFS"
    tree:add(cubefs, tvb(0, math.min(offset, length))):append_text(", rest of a packet")
  end
  local before
  while offset < length do
    local p, reason = measure(tvb, offset)
    if not p then
      -- CubeFS v3.4 and v3.5 disagree with themselves there.
      if before == 0xB3 then reason = reason .. "; OpRandomWriteVer without a flag is written with VerSeq and read without" end
      local next = next_packet(tvb, offset + 1)
      local is_known = stream.first_frame and (stream.first_frame < pinfo.number or pinfo.private["cubefs"])
      -- Another protocol on this port, TLS for one.
      if not next and not is_known and offset == 0 then return 0 end
      show_undissected(tvb, offset, (next or length) - offset, reason, is_known, stream, pinfo, tree)
      offset = next or length
    elseif p.length and p.captured >= p.length then
      show_packet(tvb, p, pinfo, tree, stream)
      expect(offset + p.length, tvb, pinfo, stream)
      offset, before = offset + p.length, p.opcode
    elseif pinfo.can_desegment > 0 then
      pinfo.desegment_offset = offset
      pinfo.desegment_len = p.length and p.length - p.captured or DESEGMENT_ONE_MORE_SEGMENT
      return length
    elseif p.length then
      show_packet(tvb, p, pinfo, tree, stream)
      expect(offset + p.length, tvb, pinfo, stream)
      return length
    else
      expect(offset, tvb, pinfo, stream)
      local subtree = tree:add(cubefs, tvb(offset))
      subtree:add_proto_expert_info(x.cut, string.format("only %d bytes of this packet's header are here", p.captured))
      subtree:append_text(", part of a header")
      return length
    end
  end
  return length
end

local function heuristic(tvb, pinfo, tree)
  if tvb:len() == 0 or not plausible(tvb, 0) then return false end
  pinfo.conversation = cubefs
  return cubefs.dissector(tvb, pinfo, tree) > 0
end

cubefs:register_heuristic("tcp", heuristic)

local ports = DissectorTable.get("tcp.port")
local registered = cubefs.prefs.ports
ports:add(registered, cubefs)

function cubefs.prefs_changed()
  if registered == cubefs.prefs.ports then return end
  if registered ~= "" then ports:remove(registered, cubefs) end
  registered = cubefs.prefs.ports
  if registered ~= "" then ports:add(registered, cubefs) end
end
